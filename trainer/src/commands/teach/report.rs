//! What `teach` prints: the cross-validation table, the chosen cells, the teacher's own accuracy and its speed.

use std::fmt::Write as _;

use anyhow::Result;
use serde::Serialize;

use crate::data::soft::TeacherInfo;
use crate::metrics::Report;
use crate::teacher::Work;
use crate::teacher::probe::Findings;

#[derive(Debug, Clone, Serialize)]
pub struct Speed {
    pub model: String,
    #[serde(flatten)]
    pub work: Work,
}

#[derive(Debug, Serialize)]
pub struct Outcome {
    pub info: TeacherInfo,
    pub texts: usize,
    pub labels: usize,
    pub skipped_rows: u64,
    pub speeds: Vec<Speed>,
    pub findings: Option<Findings>,
    pub test: Option<Report>,
    /// On the data's texts whose labels were set aside.
    pub set_aside: Option<Report>,
    /// On the labelled texts, for a teacher that did not see those labels.
    pub labelled: Option<Report>,
}

impl Outcome {
    /// Prints to standard output, as JSON or as text.
    ///
    /// # Errors
    /// When the outcome cannot be written as JSON.
    pub fn print(&self, json: bool) -> Result<()> {
        if json {
            println!("{}", serde_json::to_string(self)?);
        } else {
            print!("{}", self.text());
        }
        Ok(())
    }

    pub fn text(&self) -> String {
        let mut out = String::new();
        for Speed { model, work } in &self.speeds {
            let _ = write!(out, "{model}: {} texts, {} of them new", work.texts, work.computed);
            if work.seconds > 0.0 {
                let (texts, tokens) =
                    (work.computed as f64 / work.seconds, work.tokens as f64 / work.seconds);
                let _ = write!(out, " ({texts:.1} texts/s, {tokens:.0} tokens/s)");
            }
            let undecided = match work.undecided {
                0 => String::new(),
                n => format!(", {n} without a class in the answer (even logits)"),
            };
            let _ = writeln!(out, ", {} cut{undecided}", work.cut);
        }
        if let Some(findings) = self.findings.as_ref().filter(|f| !f.cells.is_empty()) {
            out.push_str(&self.cells(findings));
        }
        let _ = writeln!(out, "teacher: {}", self.info.method);
        if let Some(f) = &self.findings {
            let error = (f.accuracy * (1.0 - f.accuracy) / self.labels.max(1) as f64).sqrt();
            let _ = writeln!(
                out,
                "accuracy, cross-validated on {} labels: {:.3} +- {error:.3}",
                self.labels, f.accuracy
            );
        }
        for (what, report) in [
            ("on the test file", &self.test),
            ("on texts whose labels were set aside", &self.set_aside),
            ("on the labelled texts", &self.labelled),
        ] {
            if let Some(r) = report {
                let (accuracy, error, f1) = (r.accuracy, r.standard_error, r.macro_avg.f1);
                let _ = writeln!(
                    out,
                    "accuracy {what}: {accuracy:.3} +- {error:.3} (macro F1 {f1:.3}, calibration error {:.3}, {} texts)",
                    r.calibration_error, r.texts
                );
            }
        }
        if self.skipped_rows > 0 {
            let _ = writeln!(out, "{} bad rows left out", self.skipped_rows);
        }
        out
    }

    fn cells(&self, findings: &Findings) -> String {
        let name = |model: usize| self.speeds.get(model).map_or("", |s| s.model.as_str());
        let mut out = String::from(
            "cell, best penalty                                     held-out accuracy  loss\n",
        );
        for candidate in &findings.cells {
            let (what, trial) = (candidate.describe(name(candidate.model)), &candidate.trial);
            let _ = writeln!(out, "  {what:<60} {:.3}  {:.3}", trial.accuracy, trial.loss);
        }
        out.push_str("average of\n");
        for (place, blend) in findings.blends.iter().enumerate() {
            let of = |&i: &usize| {
                let c = &findings.finalists[i];
                format!("{} {}", name(c.model), c.cell)
            };
            let members: Vec<String> = blend.members.iter().map(of).collect();
            let chosen = if place == 0 { "  <- chosen" } else { "" };
            let _ = writeln!(
                out,
                "  {:<60} {:.3}  {:.3}{chosen}",
                members.join(" + "),
                blend.accuracy,
                blend.loss
            );
        }
        out
    }
}

//! What `teach` prints: the cross-validation table, the chosen cells, the teacher's own accuracy and its speed.

use crate::data::soft::TeacherInfo;
use crate::metrics::Report;
use crate::teacher::probe::{Candidate, Findings};
use crate::teacher::{Teacher, Work};
#[cfg(any(feature = "teacher", feature = "endpoint"))]
use anyhow::Result;
use serde::Serialize;
use std::fmt;
use std::path::Path;

/// A teacher that has been asked, what fitting found, and how fast it was.
pub type Taught = (Box<dyn Teacher>, Option<Findings>, Vec<Work>);

/// Runs a teacher over texts with progress.
#[cfg(any(feature = "teacher", feature = "endpoint"))]
pub fn prepare(teacher: &mut dyn Teacher, texts: &[&str]) -> Result<Vec<Work>> {
    let name = teacher.about().models.iter().map(|m| m.name.as_str()).collect::<String>();
    let run = |at: &mut (dyn FnMut(usize) + Send)| teacher.prepare(texts, &mut |done, _| at(done));
    qdllm_host::terminal::Progress::new(false).during(&name, texts.len(), run)
}

/// The command line, with absolute paths cut to their last part: where a model lay says nothing to others.
pub fn command() -> String {
    let short = |arg: String| match Path::new(&arg).file_name() {
        Some(name) if Path::new(&arg).is_absolute() => name.to_string_lossy().into_owned(),
        _ => arg,
    };
    let quote = |arg: String| if arg.contains([' ', '"', '{']) { format!("'{arg}'") } else { arg };
    let args: Vec<String> = std::env::args().skip(1).map(|arg| quote(short(arg))).collect();
    format!("qdllm {}", args.join(" "))
}

#[derive(Debug, Serialize)]
pub struct Outcome {
    pub info: TeacherInfo,
    pub texts: usize,
    pub labels: usize,
    pub skipped_rows: u64,
    pub speeds: Vec<Work>,
    pub findings: Option<Findings>,
    pub test: Option<Report>,
    /// On the data's texts whose labels were set aside.
    pub set_aside: Option<Report>,
    /// On the labelled texts, for a teacher that did not see those labels.
    pub labelled: Option<Report>,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for work in &self.speeds {
            write!(f, "{}: {} texts, {} of them new", work.model, work.texts, work.computed)?;
            if work.seconds > 0.0 {
                let (texts, tokens) =
                    (work.computed as f64 / work.seconds, work.tokens as f64 / work.seconds);
                write!(f, " ({texts:.1} texts/s, {tokens:.0} tokens/s)")?;
            }
            write!(f, ", {} cut", work.cut)?;
            if work.undecided > 0 {
                write!(f, ", {} without a class in the answer (even logits)", work.undecided)?;
            }
            if work.refused > 0 {
                write!(f, ", {} refused (no label)", work.refused)?;
            }
            writeln!(f)?;
        }
        if let Some(findings) = self.findings.as_ref().filter(|found| !found.cells.is_empty()) {
            self.cells(findings, f)?;
        }
        writeln!(f, "teacher: {}", self.info.method)?;
        if let Some(Findings { accuracy, .. }) = &self.findings {
            let error = (accuracy * (1.0 - accuracy) / self.labels.max(1) as f64).sqrt();
            writeln!(
                f,
                "accuracy, cross-validated on {} labels: {accuracy:.3} +- {error:.3}",
                self.labels
            )?;
        }
        for (what, report) in [
            ("on the test file", &self.test),
            ("on texts whose labels were set aside", &self.set_aside),
            ("on the labelled texts", &self.labelled),
        ] {
            if let Some(r) = report {
                let (accuracy, error, f1) = (r.accuracy, r.standard_error, r.macro_avg.f1);
                writeln!(
                    f,
                    "accuracy {what}: {accuracy:.3} +- {error:.3} (macro F1 {f1:.3}, calibration error {:.3}, {} texts)",
                    r.calibration_error, r.texts
                )?;
            }
        }
        if self.skipped_rows > 0 {
            writeln!(f, "{} bad rows left out", self.skipped_rows)?;
        }
        Ok(())
    }
}

impl Outcome {
    fn cells(&self, findings: &Findings, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |model: usize| self.speeds.get(model).map_or("", |s| s.model.as_str());
        writeln!(
            f,
            "cell, best penalty                                     held-out accuracy  loss"
        )?;
        for candidate in &findings.cells {
            let Candidate { model, cell, trial, .. } = candidate;
            let what = format!("{} {cell}, penalty {}", name(*model), trial.penalty);
            writeln!(f, "  {what:<60} {:.3}  {:.3}", trial.accuracy, trial.loss)?;
        }
        writeln!(f, "average of")?;
        for (place, blend) in findings.blends.iter().enumerate() {
            let of = |&i: &usize| {
                let c = &findings.finalists[i];
                format!("{} {}", name(c.model), c.cell)
            };
            let members = blend.members.iter().map(of).collect::<Vec<_>>().join(" + ");
            let (accuracy, loss) = (blend.accuracy, blend.loss);
            let chosen = if place == 0 { "  <- chosen" } else { "" };
            writeln!(f, "  {members:<60} {accuracy:.3}  {loss:.3}{chosen}")?;
        }
        Ok(())
    }
}

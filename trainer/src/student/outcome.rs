//! What a run reports.

use std::path::PathBuf;

use serde::Serialize;

use super::distillation::Summary;
use super::train::Judgement;

#[derive(Debug, Serialize)]
pub struct Outcome {
    pub model: PathBuf,
    pub bytes: usize,
    pub ram_bytes: usize,
    pub parameters: usize,
    /// Wall-clock time from the first file read to the model's last byte written.
    pub train_seconds: f64,
    /// The most memory the process held at once; `None` where the system does not tell.
    pub peak_memory_bytes: Option<u64>,
    #[serde(flatten)]
    pub summary: Summary,
    /// Largest difference of a probability between trainer and runtime.
    pub largest_gap: f32,
    pub probes: usize,
}

pub(super) fn shares(judged: &Judgement) -> String {
    let mut text = String::new();
    if let Some(x) = judged.accuracy {
        text += &format!("  accuracy {x:.4}");
    }
    if let Some(x) = judged.agreement {
        text += &format!("  as the teacher {x:.4}");
    }
    text
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (s, tally) = (&self.summary, &self.summary.tally);
        writeln!(
            f,
            "texts        {} with labels, {} with soft labels alone, {} for validation",
            tally.labelled, tally.soft_only, tally.valid
        )?;
        for (count, what) in [
            (tally.duplicates, "left out as duplicates"),
            (tally.leaked, "left out since validation holds them"),
            (tally.unused, "unused: label hidden and no teacher"),
            (tally.skipped, "bad rows skipped"),
        ] {
            if count > 0 {
                writeln!(f, "             {count} {what}")?;
            }
        }
        writeln!(f, "best epoch   {}", s.epoch)?;
        if s.before == s.after {
            let judged = &s.after;
            writeln!(f, "validation   loss {:.4}{}", judged.loss, shares(judged))?;
            return self.end(f);
        }
        writeln!(
            f,
            "validation   before quantisation: loss {:.4}{}",
            s.before.loss,
            shares(&s.before)
        )?;
        writeln!(
            f,
            "             after quantisation:  loss {:.4}{}",
            s.after.loss,
            shares(&s.after)
        )?;
        self.end(f)
    }
}

impl Outcome {
    fn end(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "temperature  {:.3}", self.summary.temperature)?;
        writeln!(
            f,
            "checked      the runtime agrees on {} texts, probabilities within {:.1e}",
            self.probes, self.largest_gap
        )?;
        writeln!(f, "model        {} ({} bytes)", self.model.display(), self.bytes)?;
        writeln!(f, "RAM          {} bytes beside the stack", self.ram_bytes)
    }
}

//! Whether a result is the one of this job.

use super::job::{Batch, Job};
use crate::circuit::Circuit;
use crate::qasm;
use crate::quafu::platform::Outcome;
use crate::readout::{Counts, CountsError};

/// Angles that were written and read back may differ by this, in radians.
const ANGLE: f64 = 1e-6;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Mismatch {
    #[error("the result is of task {found}, not of {wanted}")]
    Task { wanted: String, found: String },
    #[error("the result is of {found}, not of {wanted}")]
    Chip { wanted: String, found: String },
    #[error("the result is of another circuit than the one that was sent")]
    Circuit,
    #[error(transparent)]
    Bits(#[from] CountsError),
    #[error("the counts add up to {found} shots, not to {wanted}")]
    Shots { wanted: u64, found: u64 },
}

pub fn verify(batch: &Batch, job: &Job, task: &str, outcome: &Outcome) -> Result<(), Mismatch> {
    if let Some(found) = outcome.task.as_ref().filter(|t| *t != task) {
        return Err(Mismatch::Task { wanted: task.into(), found: found.clone() });
    }
    if let Some(found) = outcome.chip.as_ref().filter(|c| **c != batch.chip) {
        return Err(Mismatch::Chip { wanted: batch.chip.clone(), found: found.clone() });
    }
    if outcome.circuit.as_ref().is_some_and(|text| !same(text, &job.qasm)) {
        return Err(Mismatch::Circuit);
    }
    let found = Counts::from_strings(&outcome.counts, job.bits)?.shots();
    // A platform may leave out shots, but then says so.
    let wanted = outcome.shots.unwrap_or_else(|| batch.shots.into());
    if found != wanted || found == 0 || found > batch.shots.into() {
        return Err(Mismatch::Shots { wanted: batch.shots.into(), found });
    }
    Ok(())
}

/// Whether two texts are one circuit, however they are laid out.
fn same(a: &str, b: &str) -> bool {
    let bare = |text: &str| text.split_whitespace().collect::<String>();
    if bare(a) == bare(b) {
        return true;
    }
    let (Ok(a), Ok(b)) = (qasm::read(a), qasm::read(b)) else { return false };
    let measures = |c: &Circuit| {
        let mut all = c.measures.clone();
        all.sort_unstable();
        all
    };
    measures(&a) == measures(&b)
        && a.ops.len() == b.ops.len()
        && a.ops.iter().zip(&b.ops).all(|(p, q)| {
            let near = |(x, y): (&f64, &f64)| (x - y).abs() < ANGLE;
            p.kind == q.kind && p.on() == q.on() && p.angles().iter().zip(q.angles()).all(near)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn circuits_are_compared_by_what_they_do() {
        let text = |angle: &str, order: &str| {
            format!(
                "OPENQASM 2.0;\ninclude \"qelib1.inc\";\nqreg q[2];creg c[2];\nrx({angle}) q[0];\n{order}"
            )
        };
        let (up, down) = (
            "measure q[0] -> c[0];measure q[1] -> c[1];",
            "measure q[1]->c[1]; measure q[0]->c[0];",
        );
        assert!(same(&text("0.25", up), &text("0.2500000001", down)));
        assert!(!same(&text("0.25", up), &text("0.26", up)));
        assert!(!same(&text("0.25", up), "nonsense"));
    }
}

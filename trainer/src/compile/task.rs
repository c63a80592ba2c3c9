//! What every compilation has in common: the texts, the result, the refusals.

use super::agreement::{Agreement, CircuitInputs};
use super::error::{CompileError, LEAST_TEXTS};
use crate::gradient::batch::Batch;
use qdllm_runtime::Model;
use qdllm_runtime::circuit::affine::Affine;
use qdllm_runtime::circuit::fuse::{Fused, FusedOp};
use qdllm_runtime::circuit::program::{Op, Program};
use qdllm_runtime::compiled::measured::Measured;

/// A compiled back end: its section and what is stated in it.
#[derive(Clone, Debug)]
pub struct Compiled {
    pub section: Vec<u8>,
    /// What it is made of, in words.
    pub made_of: String,
    pub measured: Measured,
}

/// A model with texts to compile it by.
pub struct Task<'m> {
    pub model: &'m Model<'m>,
    pub calibration: CircuitInputs,
    /// Texts that choose how much is kept: a quarter.
    pub choice: CircuitInputs,
    /// Texts that are reported on: a quarter.
    pub report: CircuitInputs,
    pub asked: f64,
}

impl<'m> Task<'m> {
    /// Shares out the texts.
    ///
    /// # Errors
    /// [`CompileError::Agreement`], [`CompileError::TooFewTexts`], or what the runtime says of a text.
    pub fn new(model: &'m Model<'m>, texts: &[String], asked: f64) -> Result<Self, CompileError> {
        check_share(asked)?;
        if texts.len() < LEAST_TEXTS {
            return Err(CompileError::TooFewTexts(texts.len()));
        }
        let batch = Batch::new(&circuit_of(model.program()), &[]);
        let calibration = CircuitInputs::new(model, &batch, texts.iter().step_by(2))?;
        let choice = CircuitInputs::new(model, &batch, texts.iter().skip(1).step_by(4))?;
        let report = CircuitInputs::new(model, &batch, texts.iter().skip(3).step_by(4))?;
        Ok(Self { model, calibration, choice, report, asked })
    }

    /// Whether a back end that compares so on the texts that choose is good enough.
    pub fn is_enough(&self, agreement: &Agreement) -> bool {
        agreement.share >= self.asked && agreement.expected_loss <= self.allowed_loss()
    }

    /// The share of decisions that may be expected to change: a tenth of what was asked leaves, since
    /// other texts lie closer to the border between classes than those that the model was trained on.
    fn allowed_loss(&self) -> f64 {
        (1.0 - self.asked).max(1.0 / self.choice.len() as f64) * SAFETY
    }

    /// The refusal that names the best found: (in words, its agreement on the report texts).
    pub(super) fn out_of_reach(
        &self,
        what: &str,
        (best, agreement): (String, Agreement),
    ) -> CompileError {
        CompileError::OutOfReach {
            what: what.to_owned(),
            asked: self.asked,
            best,
            reached: agreement.share,
            // A share that was reached may still ask for more certainty than there is.
            floor: ((agreement.share - 10.0 * agreement.expected_loss).max(0.0) * 1e4).floor()
                / 1e4,
            texts: self.report.len(),
        }
    }
}

pub(super) fn check_share(asked: f64) -> Result<(), CompileError> {
    if asked > 0.0 && asked <= 1.0 { Ok(()) } else { Err(CompileError::Agreement(asked)) }
}

/// Of the share that may change, how much may be expected to.
const SAFETY: f64 = 0.1;

/// A stored program as a fused circuit without parameters.
pub fn circuit_of(program: &Program<'_>) -> Fused {
    let constant = |x: f32| Affine { constant: f64::from(x), terms: Vec::new() };
    let ops = program.ops().map(|op| match op {
        Op::Phases(terms) => FusedOp::Phases(terms.map(|(mask, a)| (mask, constant(a))).collect()),
        Op::Ry(qubit, a) => FusedOp::Ry(qubit, constant(a)),
        Op::IndexMap(map) => FusedOp::IndexMap(map),
    });
    Fused { qubits: program.qubits() as u8, ops: ops.collect(), outputs: program.words().collect() }
}

//! The exact circuit in 16-bit integers, measured: nothing is chosen, so every text is reported on.

use super::agreement::CircuitInputs;
use super::error::{CompileError, LEAST_TEXTS};
use super::evaluate;
use super::task::{Compiled, check_share, circuit_of};
use crate::gradient::batch::Batch;
use qdllm_runtime::circuit::program::{Op, Program};
use qdllm_runtime::compiled::measured::Measured;
use qdllm_runtime::{Model, ScratchI16};

/// Measures how often the circuit in 16-bit integers decides as in `f32`.
///
/// # Errors
/// [`CompileError`]; where it decides otherwise too often, the share that it reaches.
pub fn statevector_i16(
    model: &Model<'_>,
    texts: &[String],
    asked: f64,
) -> Result<Compiled, CompileError> {
    check_share(asked)?;
    if texts.len() < LEAST_TEXTS {
        return Err(CompileError::TooFewTexts(texts.len()));
    }
    let batch = Batch::new(&circuit_of(model.program()), &[]);
    let seen = CircuitInputs::new(model, &batch, texts.iter())?;
    let agreement = seen.compare(|i| evaluate::statevector_i16(model, &seen, i));
    if agreement.share < asked {
        return Err(CompileError::OutOfReach {
            what: "16-bit amplitude".to_owned(),
            asked,
            best: "the circuit in 16-bit integers".to_owned(),
            reached: agreement.share,
            floor: (agreement.share * 1e4).floor() / 1e4,
            texts: seen.len(),
        });
    }
    let measured = Measured {
        asked: asked as f32,
        agreement: agreement.share as f32,
        texts: seen.len() as u32,
        largest_logit_error: agreement.largest_error,
        multiply_adds: multiply_adds(model.program(), model.classes()),
        ram_bytes: size_of::<ScratchI16>() as u32,
    };
    let made_of = format!("{} amplitudes of 16 bits", 1 << model.program().qubits());
    Ok(Compiled { section: measured.bytes(), made_of, measured })
}

/// Four multiplications an amplitude and diagonal or rotation, two for its probability, one for the
/// start; then the head.
fn multiply_adds(program: &Program<'_>, classes: usize) -> u32 {
    let passes = program.ops().filter(|op| !matches!(op, Op::IndexMap(_))).count();
    ((4 * passes + 3) * (1 << program.qubits()) + classes * program.outputs()) as u32
}

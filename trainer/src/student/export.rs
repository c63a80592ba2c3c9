//! A trained student to a model file, read back through the runtime and compared before it counts.

use crate::data::corpus::hex;
use crate::options::Config;
use crate::student::backprop::Heart;
use crate::student::distillation::{Prepared, Student};
use crate::student::encoded::HostVocab;
use qdllm_runtime::angles::Squash;
use qdllm_runtime::format::encode::{FrontEndParts, Parts, encode};
use qdllm_runtime::format::meta::Preset;
use qdllm_runtime::{Model, Scratch};
use sha2::{Digest, Sha256};
use thiserror::Error;

/// Largest difference of a probability that the runtime may show against the trainer; f32 rounding
/// in another order gives about 1e-6.
const TOLERANCE: f32 = 1e-4;

/// Why a student was not exported.
#[derive(Debug, Error)]
pub enum ExportError {
    /// A control has no place in the format.
    #[error("only the heart `circuit` can be exported; `{0:?}` is a control for comparison")]
    Control(Heart),
    /// The format refuses the student.
    #[error("the model file would be refused: {0}")]
    Refused(#[from] qdllm_runtime::Error),
    /// The runtime computes something else than the trainer: a bug, never the user's fault.
    #[error(
        "internal error: the exported model gives probability {runtime} where the trained one gives {trained}, for the text {text:?}; nothing was written"
    )]
    Mismatch {
        /// Probability by the runtime.
        runtime: f32,
        /// Probability by the trainer.
        trained: f32,
        /// The text.
        text: String,
    },
}

/// A model file's bytes and how well the runtime agrees with the trainer.
#[derive(Debug)]
pub struct Exported {
    /// The file.
    pub bytes: Vec<u8>,
    /// Largest difference of a probability over the probe texts.
    pub largest_gap: f32,
    /// Probe texts compared.
    pub probes: usize,
}

/// Encodes a student and compares the result with it on the probe texts.
///
/// # Errors
/// [`ExportError`].
pub fn export(
    student: &Student,
    prepared: &Prepared,
    config: &Config,
) -> Result<Exported, ExportError> {
    let (shape, theta) = (&student.shape, &student.theta);
    if shape.heart != Heart::Circuit {
        return Err(ExportError::Control(shape.heart));
    }
    let mut bias = [0.0; 11];
    bias.copy_from_slice(&theta[shape.bias_range()]);
    let parts = Parts {
        labels: prepared.classes.clone(),
        front: FrontEndParts::Words {
            kinds: config.student.kinds(),
            pool: config.student.pool(),
            keys: prepared.keys.clone(),
            row_bits: config.student.row_bits(),
            rows: student.rows.rows.clone(),
            scale: student.rows.scale,
            bias,
        },
        squash: Squash::PiTanh,
        circuit: shape.circuit().clone(),
        parameters: shape.angles_rad(theta),
        preset: shape.ansatz().qasm().is_none().then_some(Preset::Paper),
        qasm: shape.ansatz().qasm().map(str::to_owned),
        head: theta[shape.head_range()].to_vec(),
        temperature: student.temperature,
        reject_below: config.student.reject_below,
        provenance: provenance(prepared, config),
    };
    let bytes = encode(&parts)?;
    let largest_gap = compare(&bytes, student, prepared, config)?;
    Ok(Exported { bytes, largest_gap, probes: prepared.probes.len() })
}

fn provenance(prepared: &Prepared, config: &Config) -> Vec<(String, String)> {
    let mut pairs = vec![
        ("qdllm".to_owned(), env!("CARGO_PKG_VERSION").to_owned()),
        ("seed".to_owned(), config.training.seed.to_string()),
        ("settings sha256".to_owned(), hex(&Sha256::digest(config.recipe()))[..16].to_owned()),
    ];
    if config.sources.data.is_some() {
        pairs.push(("data sha256".to_owned(), prepared.data_digest[..16].to_owned()));
    }
    if let Some((teacher, digest)) = &prepared.teacher {
        let mut named = |key: &str, value: &str| {
            if !value.is_empty() {
                // A pair holds 255 bytes; what is longer is cut at a character.
                let end = value.floor_char_boundary(255);
                pairs.push((key.to_owned(), value[..end].to_owned()));
            }
        };
        named("teacher", &teacher.name);
        named("method", &teacher.method);
        named("soft labels sha256", &digest[..16]);
    }
    pairs
}

fn compare(
    bytes: &[u8],
    student: &Student,
    prepared: &Prepared,
    config: &Config,
) -> Result<f32, ExportError> {
    let model = Model::parse(bytes)?;
    let vocab = HostVocab::new(&prepared.keys, config.student.kinds());
    let trained = student.probabilities(&vocab, &prepared.probes);
    let mut scratch = Box::new(Scratch::new());
    let mut largest = 0.0_f32;
    for (text, expected) in prepared.probes.iter().zip(&trained) {
        let prediction = model.classify(text, &mut scratch)?;
        for (&runtime, &trained) in prediction.probabilities().iter().zip(expected) {
            let gap = (runtime - trained).abs();
            // `>` alone would let a NaN pass.
            if gap > TOLERANCE || gap.is_nan() {
                return Err(ExportError::Mismatch { runtime, trained, text: text.clone() });
            }
            largest = largest.max(gap);
        }
    }
    Ok(largest)
}

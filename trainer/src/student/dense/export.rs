//! A trained student to a model file with the front end `dense`, compared through the runtime before it counts.

use qdllm_runtime::format::encode::{FrontEndParts, Parts, encode};
use qdllm_runtime::format::meta::Preset as CircuitPreset;
use qdllm_runtime::{Model, QUBITS, Scratch};
use sha2::{Digest, Sha256};

use super::config::Preset;
use super::prepared::Prepared;
use super::student::DenseBatcher;
use super::train::Trained;
use crate::data::corpus::hex;
use crate::options::Config;
use crate::student::export::{ExportError, Exported};
use crate::student::loss::softmax;

/// Largest difference of a probability that the runtime may show against the trainer: folding the inputs' scale into
/// the weights rounds differently, and min-max multiplies that by ten over the span.
const TOLERANCE: f32 = 2e-3;

/// Folds the scale of the inputs into the Dense layer: weights angle by angle, then biases, for inputs as they are.
pub fn fold(weights: &[f32], bias: &[f32], scale: &[(f32, f32)]) -> Vec<f32> {
    let mut table = Vec::with_capacity(weights.len() + bias.len());
    let mut biases = Vec::with_capacity(bias.len());
    for (row, bias) in weights.chunks_exact(scale.len()).zip(bias) {
        let mut shifted = f64::from(*bias);
        for (w, (mean, deviation)) in row.iter().zip(scale) {
            let folded = w / deviation;
            shifted -= f64::from(folded) * f64::from(*mean);
            table.push(folded);
        }
        biases.push(shifted as f32);
    }
    table.extend(biases);
    table
}

/// Encodes a student and compares the result with it on validation vectors.
///
/// # Errors
/// [`ExportError`].
pub fn export(
    trained: &Trained,
    prepared: &Prepared,
    config: &Config,
) -> Result<Exported, ExportError> {
    let (shape, theta) = (&trained.shape, &trained.theta);
    // The reader of vectors refuses wider ones.
    let inputs = u16::try_from(shape.inputs).unwrap_or(u16::MAX);
    let table = fold(&theta[shape.weight_range()], &theta[shape.bias_range()], &prepared.scale);
    debug_assert_eq!(table.len(), QUBITS * (shape.inputs + 1));
    let parts = Parts {
        labels: prepared.classes.clone(),
        front: FrontEndParts::Dense { inputs, table },
        squash: shape.squash,
        circuit: shape.circuit().clone(),
        parameters: shape.angles_rad(theta),
        preset: Some(CircuitPreset::Paper),
        qasm: None,
        head: theta[shape.head_range()].to_vec(),
        temperature: trained.temperature,
        reject_below: config.student.reject_below,
        provenance: provenance(prepared, config),
    };
    let bytes = encode(&parts)?;
    let (largest_gap, probes) = compare(&bytes, trained, prepared)?;
    Ok(Exported { bytes, largest_gap, probes })
}

fn provenance(prepared: &Prepared, config: &Config) -> Vec<(String, String)> {
    let named = |name: &str, value: String| {
        let end = value.floor_char_boundary(255);
        (name.to_owned(), value[..end].to_owned())
    };
    let design = match config.dense.preset {
        Preset::Product => "product",
        Preset::Paper => "paper",
    };
    let mut pairs = vec![
        named("qdllm", env!("CARGO_PKG_VERSION").to_owned()),
        named("design", format!("dense, {design}")),
        named("seed", config.training.seed.to_string()),
        named("settings sha256", hex(&Sha256::digest(config.recipe()))[..16].to_owned()),
        named("data sha256", prepared.data_digest[..16].to_owned()),
    ];
    if let Some((teacher, digest)) = &prepared.teacher {
        pairs.push(named("teacher", teacher.name.clone()));
        pairs.push(named("method", teacher.method.clone()));
        pairs.push(named("soft labels sha256", digest[..16].to_owned()));
        pairs.retain(|(_, value)| !value.is_empty());
    }
    pairs
}

fn compare(
    bytes: &[u8],
    trained: &Trained,
    prepared: &Prepared,
) -> Result<(f32, usize), ExportError> {
    let model = Model::parse(bytes)?;
    let samples = prepared.samples(&prepared.valid);
    let logits = DenseBatcher::new(&trained.shape, &trained.theta, 0.0).logits(&samples);
    let mut scratch = Box::new(Scratch::new());
    let (mut largest, mut probes) = (0.0_f32, 0);
    for (i, (vector, logits)) in prepared.probes().zip(&logits).enumerate() {
        let expected = softmax(logits, trained.temperature);
        let prediction = model.classify_vector(vector, &mut scratch)?;
        for (&runtime, &trained) in prediction.probabilities().iter().zip(&expected) {
            let gap = (runtime - trained).abs();
            if gap > TOLERANCE || gap.is_nan() {
                let text = format!("validation vector {}", i + 1);
                return Err(ExportError::Mismatch { runtime, trained, text });
            }
            largest = largest.max(gap);
        }
        probes += 1;
    }
    Ok((largest, probes))
}

#[cfg(test)]
mod tests {
    use super::fold;

    #[test]
    fn folded_weights_see_inputs_as_they_are() {
        let scale = [(10.0, 2.0), (-1.0, 0.5)];
        let table = fold(&[1.0, -2.0, 0.5, 4.0], &[0.25, 1.0], &scale);
        let x = [13.0_f32, -0.75];
        for (row, (w, b)) in [([1.0, -2.0], 0.25), ([0.5, 4.0], 1.0)].iter().enumerate() {
            let scaled = w[0] * (x[0] - 10.0) / 2.0 + w[1] * (x[1] + 1.0) / 0.5 + b;
            let plain = table[2 * row] * x[0] + table[2 * row + 1] * x[1] + table[4 + row];
            assert!((scaled - plain).abs() < 1e-5, "{scaled} {plain}");
        }
    }
}

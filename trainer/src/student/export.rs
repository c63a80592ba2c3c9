//! A trained student to a model file, read back through the runtime and compared before it counts.

use super::front_end::FrontEnd;
use super::reject::{Rule, refused};
use super::{COMPARED, Prepared, Student};
use crate::inference::Scratch;
use crate::options::{Config, HiddenLayer};
use anyhow::{Result, ensure};
use qdllm_host::hex::encode as hex;
use qdllm_runtime::Model;
use qdllm_runtime::format::encode::{Parts, encode};
use qdllm_runtime::format::meta::Preset;
use sha2::{Digest, Sha256};

/// Encodes a student and compares the result with it on the probe texts: the file's bytes, the largest difference of a
/// probability, and the rule of rejection.
pub fn export<F: FrontEnd>(
    student: &Student<F>,
    prepared: &Prepared<F>,
    config: &Config,
) -> Result<(Vec<u8>, f32, Option<Rule>)> {
    let (shape, theta) = (&student.shape, &student.theta);
    ensure!(
        shape.hidden == HiddenLayer::Circuit,
        "only the heart `circuit` can be exported; `{:?}` is a control for comparison",
        shape.hidden
    );
    let (weights, bias) = (&theta[shape.weight_range()], &theta[shape.bias_range()]);
    let mut parts = Parts {
        labels: prepared.classes.clone(),
        front: shape.front.parts(&student.rounded, weights, bias),
        squash: shape.front.squash(),
        circuit: shape.ansatz.fused.clone(),
        parameters: shape.angles_rad(theta),
        preset: shape.ansatz.qasm.is_none().then_some(Preset::Paper),
        qasm: shape.ansatz.qasm.clone(),
        head: theta[shape.head_range()].to_vec(),
        temperature: student.summary.temperature,
        reject_below: config.student.reject_below,
        class_counts: prepared.class_counts(),
        rejection: None,
        provenance: provenance(prepared, config),
    };
    let rule = Rule::fit(&mut parts, prepared, config)?;
    parts.rejection = rule.as_ref().map(Rule::numbers);
    let bytes = encode(&parts).map_err(refused)?;
    let largest_gap = compare(&bytes, student, prepared)?;
    Ok((bytes, largest_gap, rule))
}

fn provenance<F: FrontEnd>(prepared: &Prepared<F>, config: &Config) -> Vec<(String, String)> {
    let design = F::design(config);
    let settings = hex(Sha256::digest(config.recipe()));
    let seed = config.training.seed.to_string();
    let mut pairs = vec![("qdllm", env!("CARGO_PKG_VERSION"))];
    pairs.extend(design.map(|design| ("design", design)));
    pairs.extend([("seed", &*seed), ("settings sha256", &settings[..16])]);
    if !config.sources.data.is_empty() || design.is_some() {
        pairs.push(("data sha256", &prepared.data_digest[..16]));
    }
    if let Some((teacher, digest)) = &prepared.teacher {
        let named = [
            ("teacher", &*teacher.name),
            ("method", &*teacher.method),
            ("soft labels sha256", &digest[..16]),
        ];
        pairs.extend(named.into_iter().filter(|(_, value)| !value.is_empty()));
    }
    // A pair holds 255 bytes; what is longer is cut at a character.
    let cut = |value: &str| value[..value.floor_char_boundary(255)].to_owned();
    pairs.into_iter().map(|(key, value)| (key.to_owned(), cut(value))).collect()
}

fn compare<F: FrontEnd>(bytes: &[u8], student: &Student<F>, prepared: &Prepared<F>) -> Result<f32> {
    let model = Model::parse(bytes).map_err(refused)?;
    // Probes are the first of the validation texts.
    let samples = prepared.valid.samples();
    let compared = prepared.probes.len().min(COMPARED);
    let trained = student.probabilities(&samples[..compared]);
    let mut scratch = Box::new(Scratch::new());
    let mut largest = 0.0_f32;
    for (i, (probe, expected)) in prepared.probes.iter().zip(&trained).enumerate() {
        let prediction = F::classify(&model, probe, &mut scratch).map_err(refused)?;
        if prediction.found() == 0 {
            continue;
        }
        for (&runtime, &trained) in prediction.probabilities().iter().zip(expected) {
            let gap = (runtime - trained).abs();
            // A bug, never the user's fault; a NaN does not pass either.
            ensure!(
                gap <= F::TOLERANCE,
                "internal error: the exported model gives probability {runtime} where the trained one gives {trained}, for the text {:?}; nothing was written",
                F::name(i, probe)
            );
            largest = largest.max(gap);
        }
    }
    Ok(largest)
}

//! What a tuning run begins from: which matrices, which first numbers, and what tells it from other runs.

use rand::Rng;
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::seed;
use crate::teacher::llm::config::Kind;
use crate::teacher::llm::config::architecture::Family;

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Settings {
    pub rank: usize,
    /// Their product is multiplied by `alpha / rank`.
    pub alpha: f64,
    /// Last parts of the names of the matrices that get a pair; empty for the family's query and value.
    pub targets: Vec<String>,
    pub epochs: u64,
    pub batch: usize,
    pub accumulate: usize,
    /// Highest learning rate; it falls to 0 in a line.
    pub rate: f64,
    pub decay: f64,
    pub max_tokens: usize,
    /// Decides the first numbers and the order of the texts.
    pub seed: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) ids: Vec<u32>,
    pub(super) class: usize,
}

/// Query and value under the names of a kind of model.
pub(super) fn targets(kind: &Kind) -> [&'static str; 2] {
    match kind {
        Kind::Decoder(spec) if spec.family == Family::Bloom => ["query_key_value", "dense"],
        Kind::Decoder(_) => ["q_proj", "v_proj"],
        Kind::Encoder(spec) if spec.distilled => ["q_lin", "v_lin"],
        Kind::Encoder(_) => ["query", "value"],
    }
}

/// A LoRA pair begins as nothing: the first matrix random, the second zero. Heads begin small.
pub(super) fn first_numbers(root: u64, name: &str, shape: &[usize]) -> Vec<f32> {
    let count = shape.iter().product();
    if name.ends_with(".lora_B.weight") || name.ends_with(".bias") {
        return vec![0.0; count];
    }
    let inputs = shape.last().copied().unwrap_or(1).max(1) as f32;
    let reach = if name.contains(".lora_A.") { 1.0 / inputs.sqrt() } else { 0.02 * 3f32.sqrt() };
    let mut draw = seed::stream(root, &format!("tune {name}"));
    (0..count).map(|_| draw.random_range(-reach..reach)).collect()
}

/// What must be equal for a checkpoint to be gone on from.
pub(super) fn fingerprint(
    model: &str,
    classes: &[String],
    settings: &Settings,
    train: &[Row],
    valid: &[Row],
) -> Vec<u8> {
    let mut hash = Sha256::new_with_prefix(b"qdllm tune");
    hash.update(format!("{model}\0{classes:?}\0{settings:?}\0{}", train.len()));
    for row in train.iter().chain(valid) {
        hash.update((row.class as u64).to_le_bytes());
        hash.update((row.ids.len() as u64).to_le_bytes());
        row.ids.iter().for_each(|id| hash.update(id.to_le_bytes()));
    }
    hash.finalize().to_vec()
}

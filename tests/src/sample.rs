//! Small models made from fixed numbers, for tests of the format and of devices, and the reference numbers of
//! the preset circuit, computed with `MindQuantum` 0.12.0 in double precision.

use qdllm_runtime::angles::Squash;
use qdllm_runtime::circuit::fuse::Fused;
use qdllm_runtime::circuit::{PAPER_ANGLES, paper};
use qdllm_runtime::format::encode::{FrontEndParts, Parts};
use qdllm_runtime::format::meta::Preset;
use qdllm_runtime::text::ngram::{GramKinds, grams};
use qdllm_runtime::text::pool::{Pool, ROW, RowBits};
use qdllm_runtime::text::vocabulary::{bucket_bits_for, key};
use serde::Deserialize;

/// A fixed sequence of numbers in -1..1 (Weyl, golden ratio), so that no generator can change it.
pub fn numbers() -> impl Iterator<Item = f64> {
    (1..).map(|i: u32| (f64::from(i) * 0.618_033_988_749_894_9).fract() * 2.0 - 1.0)
}

/// A `words` model of three classes that knows 24 words.
pub fn words_parts(row_bits: RowBits) -> Parts {
    let text = "turn on off the light lamp set timer for minutes play music next song stop \
                kitchen porch warm cold degrees add milk to list";
    let bits = bucket_bits_for(24);
    let mut keys: Vec<u32> = grams(text, GramKinds::default()).map(|g| key(g.hash, bits)).collect();
    keys.sort_unstable();
    let largest = if row_bits == RowBits::Four { 7.0 } else { 127.0 };
    let mut n = numbers();
    let mut next = |scale: f64| n.next().unwrap_or(0.0) * scale;
    let rows = keys.iter().map(|_| [0; ROW].map(|_: i8| next(largest) as i8)).collect();
    Parts {
        labels: ["light", "timer", "music"].map(String::from).to_vec(),
        front: FrontEndParts::Words {
            kinds: GramKinds::default(),
            pool: Pool::Mean,
            keys,
            row_bits,
            rows,
            scale: [1.0 / largest as f32; ROW],
            bias: [0.0; ROW].map(|_: f32| next(0.2) as f32),
        },
        squash: Squash::PiTanh,
        circuit: Fused::new(paper(), 11, &single_z()).expect("the preset fuses"),
        parameters: (0..PAPER_ANGLES).map(|_| next(0.5)).collect(),
        preset: Some(Preset::Paper),
        qasm: None,
        head: (0..3 * 12).map(|_| next(2.0) as f32).collect(),
        temperature: 1.25,
        reject_below: 0.4,
        class_counts: vec![],
        provenance: vec![("made by".into(), "the sample of the format's tests".into())],
    }
}

/// The same model by token rules 3, with digits and signs kept.
pub fn unicode_parts() -> Parts {
    let mut parts = words_parts(RowBits::Four);
    if let FrontEndParts::Words { kinds, .. } = &mut parts.front {
        (kinds.unicode, kinds.signs) = (true, true);
    }
    parts
}

/// A `dense` model of two classes on vectors of four numbers.
pub fn dense_parts() -> Parts {
    let mut n = numbers();
    let table = (0..ROW * 5).map(|_| n.next().unwrap_or(0.0) as f32).collect();
    Parts {
        labels: vec!["down".into(), "up".into()],
        front: FrontEndParts::Dense { inputs: 4, table },
        squash: Squash::MinMax10,
        head: (0..2 * 12).map(|_| n.next().unwrap_or(0.0) as f32).collect(),
        temperature: 1.0,
        reject_below: 0.0,
        ..words_parts(RowBits::Four)
    }
}

/// One set of angles and what the reference simulator gives for it.
#[derive(Debug, Deserialize)]
pub struct Case {
    /// What kind of angles: random, small, ...
    pub kind: String,
    pub ansatz_params: Vec<f64>,
    pub encoder_angles: Vec<f64>,
    /// Weights of the 11 expectations in the differentiated scalar.
    pub cotangent: Vec<f64>,
    pub expectations: Vec<f64>,
    pub grad_ansatz: Vec<f64>,
    pub grad_encoder: Vec<f64>,
}

#[derive(Deserialize)]
struct File {
    cases: Vec<Case>,
}

pub fn mindquantum_cases() -> Vec<Case> {
    let text = include_str!("../vectors/mindquantum_circuit.json");
    let file: File = serde_json::from_str(text).expect("the vector file is valid");
    file.cases
}

/// The read-outs of the preset circuit before fusion: Z on each of 11 qubits.
pub fn single_z() -> Vec<u16> {
    (0..11).map(|q| 1 << q).collect()
}

//! Small models made from fixed numbers, for tests of the format and of devices, and the reference numbers of
//! the preset circuit, computed with `MindQuantum` 0.12.0 in double precision.

use qdllm_runtime::angles::Squash;
use qdllm_runtime::circuit::fuse::Fused;
use qdllm_runtime::circuit::{PAPER_ANGLES, paper};
use qdllm_runtime::compiled::Measured;
use qdllm_runtime::format::encode::{FrontEndParts, Parts, small_head};
use qdllm_runtime::format::meta::Preset;
use qdllm_runtime::text::compact::CompactSizes;
use qdllm_runtime::text::ngram::{GramKinds, Runs, grams};
use qdllm_runtime::text::pool::{Pool, ROW, RowBits};
use qdllm_runtime::text::ribbon;
use qdllm_runtime::text::vocabulary::{bucket_bits_for, key};
use serde::Deserialize;

/// What compiled sections made for tests state.
pub const MEASURED: Measured = Measured {
    asked: 0.5,
    agreement: 0.25,
    texts: 300,
    largest_logit_error: 0.125,
    multiply_adds: 1000,
    ram_bytes: 256,
};

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
        rejection: None,
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

/// The n-grams of the compact sample and the codes of each: two numbers of three bits.
pub fn compact_codes() -> Vec<(u32, [u8; 2])> {
    let text = "turn on off the light lamp set timer for minutes play music next song stop";
    let mut hashes: Vec<u32> = grams(text, COMPACT_KINDS).map(|g| g.hash).collect();
    hashes.sort_unstable();
    hashes.dedup();
    let code = |i: usize, hash: u32| (hash >> (7 * i + 5)) as u8 & 7;
    hashes.into_iter().map(|hash| (hash, [code(0, hash), code(1, hash)])).collect()
}

/// Words cut to five letters, and runs of two and three characters.
pub const COMPACT_KINDS: GramKinds = GramKinds {
    bigrams: true,
    prefixes: false,
    trigrams: false,
    edges: false,
    unicode: true,
    signs: false,
    cut: 5,
    runs: Runs { shortest: 2, longest: 3 },
};

/// A model of format version 2: two numbers an n-gram, eight levels each, six bits of fingerprint.
pub fn compact_parts() -> Parts {
    let bits = |codes: [u8; 2]| (0..6).map(move |i| codes[i / 3] >> (i % 3) & 1 == 1);
    let entries: Vec<(u32, Vec<bool>)> =
        compact_codes().into_iter().map(|(hash, codes)| (hash, bits(codes).collect())).collect();
    let solved = ribbon::solve(&entries, 6).expect("a few n-grams fit");
    let parts = words_parts(RowBits::Four);
    let mut n = numbers();
    let mut byte = |most: f64| (n.next().unwrap_or(0.0) * most) as i8;
    let small: Vec<i8> = (0..33).map(|_| byte(127.0)).collect();
    Parts {
        front: FrontEndParts::Compact {
            kinds: COMPACT_KINDS,
            pool: Pool::Root,
            sizes: CompactSizes {
                rank: 2,
                code_bits: 3,
                fingerprint_bits: 6,
                seed: solved.seed,
                slots: solved.slots,
            },
            table: solved.columns,
            levels: (0..16).map(|_| byte(127.0)).collect(),
            lift: (0..22).map(|_| byte(127.0)).collect(),
            scale: [1.0 / 40_000.0; ROW],
            bias: [0.25; ROW],
            head: small_head(
                [0.02, 1e-4],
                &[0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1],
                &small,
                &[300, -200, 5],
            ),
        },
        ..parts
    }
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

//! The reference numbers of the preset circuit, computed with `MindQuantum` 0.12.0 in double precision.

use serde::Deserialize;

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

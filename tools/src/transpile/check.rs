//! Judges a compiled circuit against its source: the joint distribution of all outputs.

use crate::circuit::Circuit;
use crate::statevector::StateVector;
use crate::transpile::source::Source;

/// How far a compiled circuit may be from its source, in probability.
pub const TOLERANCE: f64 = 1e-9;

/// One output as a compiled circuit gives it: the parity of classical bits, negated or not.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Readout {
    /// Classical bits whose parity it is; none: it is constant.
    pub bits: Vec<u8>,
    /// Whether the outcome is inverted (the expectation's sign changed).
    pub negated: bool,
}

/// The largest difference in the joint probability of the outputs between the source and the
/// weighted compiled circuits; `None` if a circuit is too large to simulate.
pub fn outputs_differ(
    source: &Source,
    inputs: &[f64],
    parts: &[(f64, &Circuit, &[Readout])],
) -> Option<f64> {
    let reference = source.with_inputs(inputs);
    let all: Vec<u8> = (0..source.qubits).collect();
    let words: Vec<(usize, bool)> = source.outputs.iter().map(|&(m, n)| (m as usize, n)).collect();
    let mut difference = distribution(&StateVector::after(&reference, &all)?, &words);
    for (weight, circuit, readouts) in parts {
        let used = circuit.used();
        // Bit i of the state's index is qubit used[i]; a read-out names classical bits.
        let bit_mask = |bit: u8| {
            let qubit = circuit.measures.iter().find(|m| m.1 == bit).map(|m| m.0);
            used.iter().position(|&u| Some(u) == qubit).map_or(0, |i| 1_usize << i)
        };
        let words: Vec<(usize, bool)> = readouts
            .iter()
            .map(|r| (r.bits.iter().fold(0, |m, &b| m | bit_mask(b)), r.negated))
            .collect();
        let compiled = distribution(&StateVector::after(circuit, &used)?, &words);
        difference.iter_mut().zip(compiled).for_each(|(d, p)| *d -= weight * p);
    }
    Some(difference.into_iter().fold(0.0, |worst, d| worst.max(d.abs())))
}

fn distribution(state: &StateVector, words: &[(usize, bool)]) -> Vec<f64> {
    let mut all = vec![0.0; 1 << words.len()];
    for (x, weight) in state.weights().enumerate() {
        let outcome = words.iter().enumerate().fold(0, |o, (i, &(mask, negated))| {
            o | ((x & mask).count_ones() as usize & 1 ^ usize::from(negated)) << i
        });
        all[outcome] += weight;
    }
    all
}

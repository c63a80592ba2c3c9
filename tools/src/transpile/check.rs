//! Judges a compiled circuit against its source by the joint distribution of all outputs, and says what it
//! costs.

use crate::circuit::{Circuit, depth, two_qubit_gates};
use crate::processor::Processor;
use crate::readout::Readout;
use crate::statevector::StateVector;
use crate::transpile::source::Source;
use serde::Serialize;
use std::fmt;

/// How far a compiled circuit may be from its source, in probability.
pub const TOLERANCE: f64 = 1e-9;

/// The largest difference in the joint probability of the outputs between the source and the
/// weighted compiled circuits; `None` if a circuit is too large to simulate.
pub fn outputs_differ<'a>(
    source: &Source,
    inputs: &[f64],
    parts: impl Iterator<Item = (f64, &'a Circuit, &'a [Readout])>,
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
        let word = |r: &Readout| (r.bits.iter().fold(0, |m, &b| m | bit_mask(b)), r.negated);
        let words: Vec<(usize, bool)> = readouts.iter().map(word).collect();
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

/// What a compiled circuit costs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    pub cz: usize,
    pub cz_depth: usize,
    pub depth: usize,
    pub one_qubit: usize,
    pub physical: Vec<u8>,
    /// Probability that no gate and, where that is known, no read-out errs: the product of all fidelities.
    pub success: f64,
    /// Whether read-out errors are in `success`: not every chip publishes them.
    pub readout_known: bool,
}

impl Report {
    pub fn of(circuit: &Circuit, processor: &Processor) -> Self {
        let cz = two_qubit_gates(circuit);
        let mut success: f64 = circuit
            .gates
            .iter()
            .map(|gate| match *gate.on() {
                [a, b] => 1.0 - processor.cz_error(a, b),
                _ => 1.0 - processor.one_error(gate.qubits[0]),
            })
            .product();
        let readout: Vec<_> =
            circuit.measures.iter().map(|m| processor.readout_error(m.0)).collect();
        let readout_known = readout.iter().all(Option::is_some);
        if readout_known {
            success *= readout.iter().flatten().map(|e| 1.0 - e).product::<f64>();
        }
        Self {
            cz,
            cz_depth: depth(circuit, |gate| gate.on().len() == 2),
            depth: depth(circuit, |_| true),
            one_qubit: circuit.gates.len() - cz,
            physical: circuit.used(),
            success,
            readout_known,
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let covers = if self.readout_known {
            "gates and read-out"
        } else {
            "gates; read-out errors are unknown"
        };
        write!(
            f,
            "{} CZ, CZ depth {}, depth {}, {} one-qubit gates, success about {:.3} ({covers}; not waiting, not cross-talk), qubits {:?}",
            self.cz, self.cz_depth, self.depth, self.one_qubit, self.success, self.physical
        )
    }
}

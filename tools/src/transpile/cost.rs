//! What a compiled circuit costs.

use crate::circuit::Circuit;
use crate::processor::topology::Processor;
use serde::Serialize;
use std::fmt;

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    pub cz: usize,
    pub cz_depth: usize,
    pub depth: usize,
    pub one_qubit: usize,
    pub physical: Vec<u8>,
    /// Probability that no gate and no read-out errs: the product of all fidelities.
    pub success: f64,
    /// Whether read-out errors are in `success`: not every chip publishes them.
    pub readout_known: bool,
}

impl Report {
    pub fn of(circuit: &Circuit, processor: &Processor) -> Self {
        let cz = circuit.two_qubit_gates();
        let mut success: f64 = circuit
            .ops
            .iter()
            .map(|op| match *op.on() {
                [a, b] => 1.0 - processor.cz_error(a, b),
                _ => 1.0 - processor.one_error(op.qubits[0]),
            })
            .product();
        let readout: Vec<_> =
            circuit.measures.iter().map(|m| processor.readout_error(m.0)).collect();
        success *= readout.iter().flatten().map(|e| 1.0 - e).product::<f64>();
        Self {
            cz,
            cz_depth: circuit.depth(|op| op.on().len() == 2),
            depth: circuit.depth(|_| true),
            one_qubit: circuit.ops.len() - cz,
            physical: circuit.used(),
            success,
            readout_known: readout.iter().all(Option::is_some),
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let readout = if self.readout_known { "" } else { ", read-out errors unknown" };
        write!(
            f,
            "{} CZ, CZ depth {}, depth {}, {} one-qubit gates, success about {:.3}{readout}, qubits {:?}",
            self.cz, self.cz_depth, self.depth, self.one_qubit, self.success, self.physical
        )
    }
}

//! A circuit with numbers for angles, and what it measures; any number of qubits up to 256.

use qdllm_runtime::circuit::gate::{Angle, Gate, GateKind};

/// A gate with its angles in radians.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Op {
    pub kind: GateKind,
    /// The qubits; of a one-qubit gate only the first counts.
    pub qubits: [u8; 2],
    /// The angles in radians; only the first [`angles`](qdllm_runtime::circuit::gate::GateInfo::angles) count.
    pub angles_rad: [f64; 3],
}

impl Op {
    /// A one-qubit gate with up to three angles.
    pub const fn one(kind: GateKind, qubit: u8, angles_rad: [f64; 3]) -> Self {
        Self { kind, qubits: [qubit, qubit], angles_rad }
    }

    /// A two-qubit gate without an angle.
    pub const fn two(kind: GateKind, a: u8, b: u8) -> Self {
        Self { kind, qubits: [a, b], angles_rad: [0.0; 3] }
    }

    pub fn on(&self) -> &[u8] {
        &self.qubits[..self.kind.info().qubits]
    }

    /// The angles that count, in radians.
    pub fn angles(&self) -> &[f64] {
        &self.angles_rad[..self.kind.info().angles]
    }

    /// The gate of the runtime's table with constant angles.
    pub fn gate(&self) -> Gate {
        Gate { kind: self.kind, qubits: self.qubits, angles: self.angles_rad.map(Angle::Const) }
    }
}

/// Gates in order of execution, then measurements.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Circuit {
    pub qubits: usize,
    pub bits: usize,
    pub ops: Vec<Op>,
    /// (qubit, classical bit), after all gates.
    pub measures: Vec<(u8, u8)>,
}

impl Circuit {
    pub fn two_qubit_gates(&self) -> usize {
        self.ops.iter().filter(|op| op.on().len() == 2).count()
    }

    /// Longest chain of gates that share qubits, counting those that `counts` accepts; measurements
    /// do not count.
    pub fn depth(&self, counts: impl Fn(&Op) -> bool) -> usize {
        let mut level = vec![0; self.qubits];
        for op in &self.ops {
            let at = op.on().iter().map(|&q| level[q as usize]).max().unwrap_or(0);
            let next = at + usize::from(counts(op));
            op.on().iter().for_each(|&q| level[q as usize] = next);
        }
        level.into_iter().max().unwrap_or(0)
    }

    /// Qubits that a gate or a measurement names, in ascending order.
    pub fn used(&self) -> Vec<u8> {
        let gates = self.ops.iter().flat_map(|op| op.on().to_vec());
        let mut used: Vec<u8> = gates.chain(self.measures.iter().map(|m| m.0)).collect();
        used.sort_unstable();
        used.dedup();
        used
    }
}

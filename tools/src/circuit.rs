//! A circuit with numbers for angles, and what it measures; any number of qubits up to 256.

use qdllm_runtime::circuit::gate::{Angle, Gate, GateKind};

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Op {
    pub kind: GateKind,
    /// The qubits; of a one-qubit gate only the first counts.
    pub qubits: [u8; 2],
    /// The angles in radians; only the first [`angles`](qdllm_runtime::circuit::gate::GateInfo::angles) count.
    pub angles_rad: [f64; 3],
}

impl Op {
    pub const fn one(kind: GateKind, qubit: u8, angles_rad: [f64; 3]) -> Self {
        Self { kind, qubits: [qubit, qubit], angles_rad }
    }

    pub const fn two(kind: GateKind, a: u8, b: u8) -> Self {
        Self { kind, qubits: [a, b], angles_rad: [0.0; 3] }
    }

    pub fn on(&self) -> &[u8] {
        &self.qubits[..self.kind.info().qubits]
    }

    pub fn angles(&self) -> &[f64] {
        &self.angles_rad[..self.kind.info().angles]
    }

    /// The gate of the runtime's table with constant angles.
    pub fn gate(&self) -> Gate {
        Gate { kind: self.kind, qubits: self.qubits, angles: self.angles_rad.map(Angle::Const) }
    }
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Circuit {
    pub qubits: usize,
    pub bits: usize,
    pub ops: Vec<Op>,
    pub measures: Vec<(u8, u8)>,
}

impl Circuit {
    pub fn two_qubit_gates(&self) -> usize {
        self.ops.iter().filter(|op| op.on().len() == 2).count()
    }

    /// Longest chain of gates that share qubits, counting those that `counts` accepts; measurements
    /// do not count.
    pub fn depth(&self, counts: impl Fn(&Op) -> bool) -> usize {
        let qubits = |op: &Op| [op.qubits[0], op.qubits[op.on().len() - 1]];
        longest_chain(self.ops.iter().map(|op| (qubits(op), usize::from(counts(op)))))
    }

    pub fn used(&self) -> Vec<u8> {
        let gates = self.ops.iter().flat_map(|op| op.on().to_vec());
        let mut used: Vec<u8> = gates.chain(self.measures.iter().map(|m| m.0)).collect();
        used.sort_unstable();
        used.dedup();
        used
    }
}

/// The longest chain of gates that share qubits; each gate on one or two qubits with its length.
pub fn longest_chain(gates: impl IntoIterator<Item = ([u8; 2], usize)>) -> usize {
    let mut level = [0; 256];
    for ([a, b], length) in gates {
        let next = level[a as usize].max(level[b as usize]) + length;
        (level[a as usize], level[b as usize]) = (next, next);
    }
    level.into_iter().max().unwrap_or(0)
}

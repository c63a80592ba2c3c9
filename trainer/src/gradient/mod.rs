//! Circuits with their angles filled in, forwards and backwards; gradients of many samples at once in [`batch`].

pub mod batch;
pub mod benchmark;

use qdllm_runtime::circuit::affine::Affine;
use qdllm_runtime::circuit::fuse::{Fused, FusedOp};
use qdllm_runtime::circuit::index_map::IndexMap;
use qdllm_runtime::circuit::{QUBITS, paper};
use qdllm_runtime::math::{Scalar, Value};
use qdllm_runtime::state::StateVector;
use qdllm_runtime::state::kernels::Diagonal;

/// The preset `paper`, read by Z of every qubit.
pub fn paper_circuit() -> Fused {
    let readouts: Vec<u16> = (0..QUBITS).map(|q| 1 << q).collect();
    // The preset names only its own qubits and begins with its encoder.
    Fused::new(paper(), QUBITS as u8, &readouts).expect("the preset fuses")
}

/// A fused circuit with its angles filled in, ready to run forwards and backwards.
pub struct Bound<S> {
    pub qubits: usize,
    pub ops: Vec<BoundOp<S>>,
    /// Word of Z and whether it is negated, by output.
    pub outputs: Vec<(u16, bool)>,
}

pub enum BoundOp<S> {
    Phases { masks: Vec<u16>, ways: [Box<Diagonal<S>>; 2] },
    Ry { qubit: usize, cos: S, sin: S },
    IndexMap([IndexMap; 2]),
}

impl<S: Scalar> BoundOp<S> {
    pub fn run<V: Value<Scalar = S>>(&self, state: &mut StateVector<V>, back: bool) {
        match self {
            Self::Phases { ways, .. } => state.diagonal(&ways[usize::from(back)]),
            Self::Ry { qubit, cos, sin } => state.ry(*qubit, *cos, if back { -*sin } else { *sin }),
            Self::IndexMap(ways) => state.map_indices(&ways[usize::from(back)]),
        }
    }
}

impl<S: Scalar> Bound<S> {
    pub fn new(circuit: &Fused, parameters: &[f64]) -> Self {
        let angle = |a: &Affine| S::from_f64(a.value(parameters));
        let ops = circuit
            .ops
            .iter()
            .map(|op| match op {
                FusedOp::Phases(terms) => BoundOp::Phases {
                    masks: terms.iter().map(|(mask, _)| *mask).collect(),
                    ways: [S::ONE, -S::ONE].map(|sign| {
                        Box::new(Diagonal::new(terms.iter().map(|(m, a)| (*m, angle(a))), sign))
                    }),
                },
                FusedOp::Ry(qubit, a) => {
                    let (sin, cos) = (angle(a) * S::HALF).sin_cos();
                    BoundOp::Ry { qubit: *qubit as usize, cos, sin }
                }
                // Maps of gates are invertible: they are products of CX, SWAP and X.
                FusedOp::IndexMap(map) => {
                    BoundOp::IndexMap([*map, map.inverse().unwrap_or(IndexMap::IDENTITY)])
                }
            })
            .collect();
        Self { qubits: circuit.qubits as usize, ops, outputs: circuit.outputs.clone() }
    }

    pub fn apply<V: Value<Scalar = S>>(&self, state: &mut StateVector<V>) {
        self.ops.iter().for_each(|op| op.run(state, false));
    }

    pub fn undo<V: Value<Scalar = S>>(&self, state: &mut StateVector<V>) {
        self.ops.iter().rev().for_each(|op| op.run(state, true));
    }
}

/// Carries a gradient by fused angles over to the circuit's parameters: `out[p] += sum c * g`.
pub fn to_parameters(circuit: &Fused, by_angle: &[f64], out: &mut [f64]) {
    let affines = circuit.ops.iter().flat_map(|op| -> Vec<&Affine> {
        match op {
            FusedOp::Phases(terms) => terms.iter().map(|(_, a)| a).collect(),
            FusedOp::Ry(_, a) => vec![a],
            FusedOp::IndexMap(_) => vec![],
        }
    });
    for (affine, g) in affines.zip(by_angle) {
        for &(p, c) in &affine.terms {
            out[p as usize] += c * g;
        }
    }
}

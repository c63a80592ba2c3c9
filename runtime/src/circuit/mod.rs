//! Circuits as sequences of gates; knows no amplitudes.
//!
//! The preset `paper` is the reference circuit of arXiv 2505.13205 as its public code builds it:
//! an RX encoder on every qubit, then two layers of 72 named angles.

#[cfg(feature = "alloc")]
pub mod affine;
#[cfg(feature = "alloc")]
pub mod fuse;
pub mod gate;
pub mod index_map;
#[cfg(feature = "alloc")]
pub mod lowering;
pub mod program;
#[cfg(feature = "alloc")]
pub mod qasm;

use crate::circuit::gate::{Angle, Gate, GateKind};

/// Qubits of the preset circuit, and the most that any circuit may have.
pub const QUBITS: usize = 11;
const PAPER_LAYERS: usize = 2;
const PAPER_LAYER_ANGLES: usize = 72;
/// Trainable angles of the preset `paper`.
pub const PAPER_ANGLES: usize = PAPER_LAYERS * PAPER_LAYER_ANGLES;

/// The encoder of `qubits` qubits: RX of input `i` on qubit `i`.
pub fn encoder(qubits: u8) -> impl Iterator<Item = Gate> + Clone {
    (0..qubits).map(|q| Gate::rotation(GateKind::Rx, q, Angle::Input(q)))
}

/// The ansatz of the preset `paper`, without its encoder: 2 x (30 RY, 9 RZZ, 33 RZ, 17 CX).
pub fn paper_ansatz() -> impl Iterator<Item = Gate> + Clone {
    (0..PAPER_LAYERS).flat_map(layer)
}

/// The whole preset `paper`: encoder, then ansatz.
pub fn paper() -> impl Iterator<Item = Gate> + Clone {
    encoder(QUBITS as u8).chain(paper_ansatz())
}

fn layer(index: usize) -> impl Iterator<Item = Gate> + Clone {
    let base = (index * PAPER_LAYER_ANGLES) as u16;
    let param = move |i: usize| Angle::Param(base + i as u16);
    // Qubits 0..=8 take four angles each (three RY, one RZZ), qubit 9 three: 39 in all.
    let rotations = (0..10u8).flat_map(move |j| {
        let at = 4 * j as usize;
        let turns = (0..3).map(move |k| Gate::rotation(GateKind::Ry, j, param(at + k)));
        let link = (j < 9).then(|| Gate::coupling(GateKind::Rzz, j + 1, j + 2, param(at + 3)));
        turns.chain(link)
    });
    let phases = (0..11u8).flat_map(move |j| {
        (0..3).map(move |k| Gate::rotation(GateKind::Rz, j, param(39 + 3 * j as usize + k)))
    });
    let wrap = core::iter::once(Gate::fixed(GateKind::Cx, 10, 0));
    let ladder = (1..9u8)
        .flat_map(|k| [Gate::fixed(GateKind::Cx, k, k + 1), Gate::fixed(GateKind::Cx, k, k - 1)]);
    rotations.chain(phases).chain(wrap).chain(ladder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paper_has_the_gates_and_angles_of_the_public_code() {
        let count = |k: GateKind| paper_ansatz().filter(|g| g.kind == k).count();
        assert_eq!(
            [GateKind::Ry, GateKind::Rzz, GateKind::Rz, GateKind::Cx].map(count),
            [60, 18, 66, 34]
        );
        let mut next = 0;
        for gate in paper_ansatz() {
            if let Angle::Param(p) = gate.angles[0] {
                assert_eq!(p, next, "angles are numbered in the order of the gates");
                next += 1;
            }
        }
        assert_eq!(next as usize, PAPER_ANGLES);
    }
}

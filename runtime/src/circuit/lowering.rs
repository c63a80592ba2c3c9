//! What the gates of the table are made of: Z and ZZ phases, RY, X, CX and SWAP, up to a global phase.
//!
//! Fuser and transpiler both begin here, so that a gate has one meaning.

use crate::circuit::affine::Affine;
use crate::circuit::gate::{Angle, Axis, Gate, GateKind, Generator};
use core::f64::consts::{FRAC_PI_2, PI};

/// One step; an angle `t` means `exp(-i t P / 2)` for the Pauli word `P`.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// A phase of Z.
    Rz(u8, Affine),
    /// A rotation about Y.
    Ry(u8, Affine),
    /// A phase of Z⊗Z.
    Rzz(u8, u8, Affine),
    /// X, an index map.
    X(u8),
    /// CX of control and target, an index map.
    Cx(u8, u8),
    /// An exchange of two qubits, an index map.
    Swap(u8, u8),
}

/// Gives the steps of `gate` to `emit` in the order of execution; `angle` says what its angles are.
pub fn lower(gate: &Gate, angle: impl Fn(Angle) -> Affine, emit: impl FnMut(Step)) {
    let info = gate.kind.info();
    let [a, b] = gate.qubits;
    let angle = |i: usize| angle(gate.angles[i]);
    let t = || if info.angles == 0 { Affine::constant(info.turn) } else { angle(0) };
    let mut lowering = Lowering { emit };
    match (info.generator, info.qubits) {
        (Generator::Pauli(axis), 1) => lowering.rotation(axis, a, t()),
        (Generator::Pauli(axis), _) => {
            [a, b].into_iter().for_each(|q| lowering.axis_to_z(axis, q, 1.0));
            (lowering.emit)(Step::Rzz(a, b, t()));
            [a, b].into_iter().for_each(|q| lowering.axis_to_z(axis, q, -1.0));
        }
        (Generator::Controlled(axis), _) => {
            lowering.axis_to_z(axis, b, 1.0);
            lowering.controlled_rz(a, b, t().scaled(0.5));
            lowering.axis_to_z(axis, b, -1.0);
        }
        (Generator::Phase, 1) => (lowering.emit)(Step::Rz(a, t())),
        // `e^{i t}` where both are 1: t/4 (1 - Za - Zb + Za Zb).
        (Generator::Phase, _) => {
            let half = t().scaled(0.5);
            (lowering.emit)(Step::Rz(a, half.clone()));
            lowering.controlled_rz(a, b, half);
        }
        (Generator::None, _) => lowering.product(gate.kind, [a, b], angle),
    }
}

struct Lowering<F> {
    emit: F,
}

impl<F: FnMut(Step)> Lowering<F> {
    /// The gates that no single angle generates.
    fn product(&mut self, kind: GateKind, [a, b]: [u8; 2], angle: impl Fn(usize) -> Affine) {
        match kind {
            GateKind::H => {
                (self.emit)(Step::Rz(a, Affine::constant(PI)));
                (self.emit)(Step::Ry(a, Affine::constant(FRAC_PI_2)));
            }
            GateKind::X => (self.emit)(Step::X(a)),
            GateKind::Y => {
                (self.emit)(Step::Rz(a, Affine::constant(PI)));
                (self.emit)(Step::X(a));
            }
            GateKind::U => {
                (self.emit)(Step::Rz(a, angle(2)));
                (self.emit)(Step::Ry(a, angle(0)));
                (self.emit)(Step::Rz(a, angle(1)));
            }
            GateKind::Cx => (self.emit)(Step::Cx(a, b)),
            GateKind::Swap => (self.emit)(Step::Swap(a, b)),
            // All others have a generator.
            _ => {}
        }
    }

    fn rotation(&mut self, axis: Axis, q: u8, t: Affine) {
        match axis {
            Axis::X => {
                (self.emit)(Step::Rz(q, Affine::constant(FRAC_PI_2)));
                (self.emit)(Step::Ry(q, t));
                (self.emit)(Step::Rz(q, Affine::constant(-FRAC_PI_2)));
            }
            Axis::Y => (self.emit)(Step::Ry(q, t)),
            Axis::Z => (self.emit)(Step::Rz(q, t)),
        }
    }

    /// What acts as Z after this acted as `axis` before; `sign` -1 undoes it.
    fn axis_to_z(&mut self, axis: Axis, q: u8, sign: f64) {
        match axis {
            Axis::X => self.rotation(Axis::Y, q, Affine::constant(sign * -FRAC_PI_2)),
            Axis::Y => self.rotation(Axis::X, q, Affine::constant(sign * FRAC_PI_2)),
            Axis::Z => {}
        }
    }

    /// RZ of twice the angle `half` on `b` where `a` is 1.
    fn controlled_rz(&mut self, a: u8, b: u8, half: Affine) {
        (self.emit)(Step::Rz(b, half.clone()));
        (self.emit)(Step::Rzz(a, b, half.scaled(-1.0)));
    }
}

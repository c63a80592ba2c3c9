//! Gives a compiled circuit its numbers: steps become one-qubit matrices and CZ, then gates of the
//! processor.

use crate::circuit::Op;
use crate::matrix::{Basis, C, Matrix, c};
use crate::transpile::block::Element;
use crate::transpile::ir::Step;
use qdllm_runtime::circuit::gate::GateKind;

/// What `steps` (each two-qubit step worth one CZ) do for given inputs, in radians.
pub fn elements(steps: &[Step], inputs: &[f64]) -> Vec<Element> {
    let mut binder = Binder { pending: [Matrix::IDENTITY; 256], elements: Vec::new() };
    for step in steps {
        binder.step(step, inputs);
    }
    for q in 0..=u8::MAX {
        binder.flush(q);
    }
    binder.elements
}

/// The gates of a basis for elements before a measurement of all qubits: what a qubit does between two
/// CZ is one matrix; Z rotations pass CZ, and vanish before the measurement.
pub fn written(elements: &[Element], basis: Basis) -> Vec<Op> {
    let mut writer =
        Writer { basis, pending: [Matrix::IDENTITY; 256], started: [false; 256], ops: Vec::new() };
    for element in elements {
        match *element {
            Element::One(q, m) => {
                writer.pending[q as usize] = writer.pending[q as usize].then(&m);
            }
            Element::Cz(a, b) => {
                for q in [a, b] {
                    writer.flush(q);
                    writer.started[q as usize] = true;
                }
                writer.ops.push(Op::two(GateKind::Cz, a, b));
            }
        }
    }
    for q in 0..=u8::MAX {
        writer.flush(q);
    }
    writer.ops
}

struct Writer {
    basis: Basis,
    /// What each qubit still has to do before its next CZ.
    pending: [Matrix; 256],
    /// Whether a CZ has acted on the qubit: until then it is |0> but for `pending`.
    started: [bool; 256],
    ops: Vec<Op>,
}

impl Writer {
    /// Writes what is pending, up to a Z rotation that stays pending.
    fn flush(&mut self, q: u8) {
        let mut matrix = self.pending[q as usize];
        if !self.started[q as usize] {
            // On |0> a Z rotation does nothing, so another matrix with the same first column will do.
            let (theta, phi, _) = matrix.zyz();
            let phi = if theta == 0.0 { 0.0 } else { phi };
            let tilt = Matrix::rotation(GateKind::Ry, theta);
            matrix = tilt.then(&Matrix::rotation(GateKind::Rz, phi));
        }
        let (gates, after) = self.basis.gates(&matrix);
        self.ops.extend(gates.into_iter().map(|(kind, angles)| Op::one(kind, q, angles)));
        self.pending[q as usize] = Matrix::rotation(GateKind::Rz, after);
    }
}

struct Binder {
    /// What each qubit still has to do before its next CZ.
    pending: [Matrix; 256],
    elements: Vec<Element>,
}

impl Binder {
    fn step(&mut self, step: &Step, inputs: &[f64]) {
        match step {
            Step::Rz(q, t) => self.turn(*q, GateKind::Rz, t.value(inputs)),
            Step::Ry(q, t) => self.turn(*q, GateKind::Ry, t.value(inputs)),
            Step::X(q) => self.turn(*q, GateKind::X, 0.0),
            Step::Cx(a, b) => {
                self.turn(*b, GateKind::H, 0.0);
                self.cz(*a, *b);
                self.turn(*b, GateKind::H, 0.0);
            }
            Step::Zz(a, b, t) => {
                // For odd multiples of a quarter turn: ZZ(t) = CZ RZ(t) RZ(t) up to phase.
                let t = t.value(inputs);
                self.cz(*a, *b);
                self.turn(*a, GateKind::Rz, t);
                self.turn(*b, GateKind::Rz, t);
            }
            Step::ZzProduct(a, b, t) => self.fresh(*a, *b, t.value(inputs)),
            // Expansion leaves none; three CX all the same.
            Step::Swap(a, b) => {
                for (x, y) in [(*a, *b), (*b, *a), (*a, *b)] {
                    self.step(&Step::Cx(x, y), inputs);
                }
            }
        }
    }

    fn turn(&mut self, q: u8, kind: GateKind, angle: f64) {
        self.then(q, &Matrix::rotation(kind, angle));
    }

    fn then(&mut self, q: u8, matrix: &Matrix) {
        self.pending[q as usize] = self.pending[q as usize].then(matrix);
    }

    fn cz(&mut self, a: u8, b: u8) {
        self.flush(a);
        self.flush(b);
        self.elements.push(Element::Cz(a, b));
    }

    fn flush(&mut self, q: u8) {
        let matrix = std::mem::replace(&mut self.pending[q as usize], Matrix::IDENTITY);
        if matrix != Matrix::IDENTITY {
            self.elements.push(Element::One(q, matrix));
        }
    }

    /// ZZ by `t` onto qubit `b`, which is in a product state `v`: where `a` is 0 it becomes `RZ(t) v`,
    /// where `a` is 1 `RZ(-t) v`. Half a turn about the axis midway between the two takes one to the
    /// other, and a CZ between basis changes is such a turn.
    fn fresh(&mut self, a: u8, b: u8, t: f64) {
        let before = self.pending[b as usize];
        let (zero, one) = (
            before.then(&Matrix::rotation(GateKind::Rz, t)),
            before.then(&Matrix::rotation(GateKind::Rz, -t)),
        );
        let bloch = |m: &Matrix| {
            let (p, q) = (m.0[0][0], m.0[1][0]);
            let cross = p.conj() * q;
            [2.0 * cross.re, 2.0 * cross.im, p.norm_sqr() - q.norm_sqr()]
        };
        let (u, v) = (bloch(&zero), bloch(&one));
        let mid = [u[0] + v[0], u[1] + v[1], u[2] + v[2]];
        // Opposite states lie on the equator, half a turn about Z apart.
        let long = mid.iter().map(|x| x * x).sum::<f64>() > 1e-18;
        let [x, y, z] = if long { mid } else { [0.0, 0.0, 1.0] };
        let polar = (x * x + y * y).sqrt().atan2(z);
        let axis =
            Matrix::rotation(GateKind::Ry, polar).then(&Matrix::rotation(GateKind::Rz, y.atan2(x)));
        self.pending[b as usize] = zero.then(&axis.dagger());
        self.cz(a, b);
        self.then(b, &axis);
        // The half turn gives the wanted state times a phase, which belongs to `a`.
        let turned =
            zero.then(&axis.dagger()).then(&Matrix::rotation(GateKind::Z, 0.0)).then(&axis);
        let overlap =
            (0..2).fold(c(0.0, 0.0), |sum: C, i| sum + one.0[i][0].conj() * turned.0[i][0]);
        self.turn(a, GateKind::P, -overlap.arg());
    }
}

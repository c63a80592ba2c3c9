//! The native gates of a processor: CZ and one-qubit gates of a basis. Steps with their angles become
//! one-qubit matrices and CZ, then such gates; [`check`] tells whether a circuit holds nothing else.

use crate::circuit::Circuit;
use crate::matrix::{Matrix, wrap};
use crate::processor::Processor;
use crate::transpile::ir::Step;
use crate::transpile::synthesis::Element;
use anyhow::{Result, bail, ensure};
use num_complex::Complex64 as C;
use qdllm_runtime::circuit::gate::{Angle, Gate, GateKind};
use std::f64::consts::{FRAC_PI_2, PI};

/// What `steps` (each two-qubit step worth one CZ) do for given inputs, in radians.
pub fn elements(steps: &[Step], inputs: &[f64]) -> Vec<Element> {
    let mut binder = Binder { pending: [Matrix::IDENTITY; 256], elements: Vec::new() };
    steps.iter().for_each(|step| binder.step(step, inputs));
    (0..=u8::MAX).for_each(|q| binder.flush(q));
    binder.elements
}

/// The gates of a basis for elements before a measurement of all qubits, and the barriers between them: what a qubit
/// does between two CZ is one matrix; Z rotations pass CZ, but no barrier, and vanish before the measurement.
pub fn written(elements: &[Element], basis: Basis) -> (Vec<Gate>, Vec<(usize, Vec<u8>)>) {
    // What each qubit still has to do before its next CZ, and whether one has acted on it: until then it is
    // |0> but for that.
    let mut qubits = [(Matrix::IDENTITY, false); 256];
    let (mut written, mut barriers) = (Vec::new(), Vec::new());
    let gate = |q: u8, (kind, angles): (GateKind, [f64; 3])| Gate {
        kind,
        qubits: [q, q],
        angles: angles.map(Angle::Const),
    };
    // Writes what is pending, up to a Z rotation that stays pending.
    let flush = |q: u8, (pending, started): &mut (Matrix, bool), to: &mut Vec<Gate>| {
        if !*started {
            // On |0> a Z rotation does nothing, so another matrix with the same first column will do.
            let (theta, phi, _) = pending.zyz();
            let phi = if theta == 0.0 { 0.0 } else { phi };
            let tilt = Matrix::rotation(GateKind::Ry, theta);
            *pending = tilt.then(&Matrix::rotation(GateKind::Rz, phi));
        }
        let (gates, after) = basis.gates(pending);
        to.extend(gates.into_iter().map(|g| gate(q, g)));
        *pending = Matrix::rotation(GateKind::Rz, after);
    };
    for element in elements {
        match *element {
            Element::One(q, m) => qubits[q as usize].0 = qubits[q as usize].0.then(&m),
            Element::Cz(a, b) => {
                for q in [a, b] {
                    flush(q, &mut qubits[q as usize], &mut written);
                    qubits[q as usize].1 = true;
                }
                written.push(Gate::fixed(GateKind::Cz, a, b));
            }
            Element::Fence(fence) => {
                for q in fence.qubits() {
                    let qubit = &mut qubits[q as usize];
                    written.extend(basis.all_gates(&qubit.0).into_iter().map(|g| gate(q, g)));
                    *qubit = (Matrix::IDENTITY, true);
                }
                barriers.extend(fence.shown.then(|| (written.len(), fence.qubits().collect())));
            }
        }
    }
    (0..=u8::MAX).zip(&mut qubits).for_each(|(q, qubit)| flush(q, qubit, &mut written));
    (written, barriers)
}

struct Binder {
    /// What each qubit still has to do before its next CZ.
    pending: [Matrix; 256],
    elements: Vec<Element>,
}

impl Binder {
    fn step(&mut self, step: &Step, inputs: &[f64]) {
        match *step {
            Step::Rz(q, ref t) => self.turn(q, GateKind::Rz, t.value(inputs)),
            Step::Ry(q, ref t) => self.turn(q, GateKind::Ry, t.value(inputs)),
            Step::X(q) => self.turn(q, GateKind::X, 0.0),
            Step::Cx(a, b) => self.cx(a, b),
            Step::Zz(a, b, ref t) => {
                // For odd multiples of a quarter turn: ZZ(t) = CZ RZ(t) RZ(t) up to phase.
                self.cz(a, b);
                [a, b].into_iter().for_each(|q| self.turn(q, GateKind::Rz, t.value(inputs)));
            }
            Step::Fence(fence) => {
                fence.qubits().for_each(|q| self.flush(q));
                self.elements.push(Element::Fence(fence));
            }
            Step::ZzProduct(a, b, ref t) => self.fresh(a, b, t.value(inputs)),
            // Expansion leaves none; three CX all the same.
            Step::Swap(a, b) => {
                [(a, b), (b, a), (a, b)].into_iter().for_each(|(c, t)| self.cx(c, t));
            }
        }
    }

    fn turn(&mut self, q: u8, kind: GateKind, angle: f64) {
        self.then(q, &Matrix::rotation(kind, angle));
    }

    fn then(&mut self, q: u8, matrix: &Matrix) {
        self.pending[q as usize] = self.pending[q as usize].then(matrix);
    }

    fn cx(&mut self, control: u8, target: u8) {
        self.turn(target, GateKind::H, 0.0);
        self.cz(control, target);
        self.turn(target, GateKind::H, 0.0);
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
        let [zero, one] = [t, -t].map(|t| before.then(&Matrix::rotation(GateKind::Rz, t)));
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
        let inwards = zero.then(&axis.dagger());
        self.pending[b as usize] = inwards;
        self.cz(a, b);
        self.then(b, &axis);
        // The half turn gives the wanted state times a phase, which belongs to `a`.
        let turned = inwards.then(&Matrix::rotation(GateKind::Z, 0.0)).then(&axis);
        let overlap: C = (0..2).map(|i| one.0[i][0].conj() * turned.0[i][0]).sum();
        self.turn(a, GateKind::P, -overlap.arg());
    }
}

/// One-qubit gates that a processor takes beside CZ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, clap::ValueEnum)]
pub enum Basis {
    /// h, rx, ry, rz
    HRz,
    /// u(theta, phi, lambda)
    U,
}

/// Angles below this are no rotation: far under what any check or processor resolves.
const NOTHING: f64 = 1e-11;

impl Basis {
    /// Gates for `matrix` up to a Z rotation after it, and the angle of that rotation. A CZ lets it
    /// pass.
    pub fn gates(self, matrix: &Matrix) -> (Vec<(GateKind, [f64; 3])>, f64) {
        let (theta, phi, lambda) = matrix.zyz();
        let turn = |kind, t| (kind, [t, 0.0, 0.0]);
        let near = |a: f64, b: f64| wrap(a - b).abs() < NOTHING;
        let (gates, after) = match self {
            _ if near(theta, 0.0) => (vec![], phi + lambda),
            Self::U => (vec![(GateKind::U, [theta, 0.0, lambda])], phi),
            // RZ(phi) RY(t) RZ(l) = RZ(phi + s pi/2) R(s t) RZ(l - s pi/2), so these need no RZ before.
            _ if near(lambda, 0.0) => (vec![turn(GateKind::Ry, theta)], phi),
            _ if near(lambda, PI) && near(theta, FRAC_PI_2) => (vec![turn(GateKind::H, 0.0)], phi),
            _ if near(lambda, PI) => (vec![turn(GateKind::Ry, -theta)], phi + PI),
            _ if near(lambda, FRAC_PI_2) => (vec![turn(GateKind::Rx, theta)], phi + FRAC_PI_2),
            _ if near(lambda, -FRAC_PI_2) => (vec![turn(GateKind::Rx, -theta)], phi - FRAC_PI_2),
            Self::HRz => (vec![turn(GateKind::Rz, lambda), turn(GateKind::Ry, theta)], phi),
        };
        (gates, wrap(after))
    }

    /// Gates for the whole of `matrix`.
    fn all_gates(self, matrix: &Matrix) -> Vec<(GateKind, [f64; 3])> {
        let (mut gates, after) = self.gates(matrix);
        match (self, gates.last_mut()) {
            _ if after.abs() < NOTHING => {}
            (Self::U, Some((_, [_, phi, _]))) => *phi = after,
            (Self::U, None) => gates.push((GateKind::U, [0.0, 0.0, after])),
            (Self::HRz, _) => gates.push((GateKind::Rz, [after, 0.0, 0.0])),
        }
        gates
    }
}

/// Refuses a circuit that would have to be compiled first.
pub fn check(circuit: &Circuit, processor: &Processor) -> Result<()> {
    use GateKind as K;
    let (chip, qubits) = (&processor.name, processor.qubits);
    if let Some(qubit) = circuit.used().iter().find(|&&q| q as usize >= qubits) {
        bail!("qubit {qubit}; {chip} has {qubits}, numbered from 0");
    }
    for gate in &circuit.gates {
        let name = gate.kind.info().name;
        ensure!(
            matches!(gate.kind, K::H | K::Rx | K::Ry | K::Rz | K::U | K::Cz),
            "gate `{name}`; the chip runs h, rx, ry, rz, u and cz, so this circuit must be compiled"
        );
        if let &[a, b] = gate.on() {
            ensure!(
                processor.coupled(a, b),
                "`{name}` on qubits {a} and {b}, which {chip} does not couple; compile it for this chip"
            );
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::circuit;
    use std::f64::consts::FRAC_PI_4;

    fn distance(a: &Matrix, b: &Matrix) -> f64 {
        let product = a.dagger().then(b);
        // Equal up to phase: |trace| = 2.
        (2.0 - (product.0[0][0] + product.0[1][1]).norm_sqr().sqrt()).abs()
    }

    #[test]
    fn gates_of_a_basis_give_the_matrix_back() {
        let angles = [0.0, FRAC_PI_4, FRAC_PI_2, PI, -FRAC_PI_2, 1.234, -2.5];
        for i in 0..angles.len().pow(3) {
            let n = angles.len();
            let (t, p, l) = (angles[i % n], angles[i / n % n], angles[i / n / n]);
            let m = Matrix::of(GateKind::U, [t, p, l]).unwrap();
            for basis in [Basis::HRz, Basis::U] {
                let (gates, after) = basis.gates(&m);
                let mut back = gates
                    .iter()
                    .fold(Matrix::IDENTITY, |m, &(k, a)| m.then(&Matrix::of(k, a).unwrap()));
                back = back.then(&Matrix::rotation(GateKind::Rz, after));
                assert!(distance(&m, &back) < 1e-12, "{basis:?} {t} {p} {l}: {gates:?} {after}");
            }
        }
    }

    #[test]
    fn the_first_fault_is_named() {
        let line = Processor::named("line:3").unwrap();
        let refused = |body: &str| {
            let text = format!("OPENQASM 2.0;\nqreg q[4];\ncreg c[1];\n{body}measure q[0]->c[0];");
            check(&circuit::read(&text).unwrap(), &line)
        };
        assert!(refused("u(1,2,3) q[0]; h q[1]; cz q[1],q[0];").is_ok());
        assert!(refused("h q[3];").unwrap_err().to_string().contains("qubit 3; line:3 has 3"));
        assert!(refused("cx q[0],q[1];").unwrap_err().to_string().contains("gate `cx`"));
        assert!(refused("cz q[0],q[2];").unwrap_err().to_string().contains("on qubits 0 and 2"));
    }
}

//! Exact structural rewrites, found from the circuit: what remains is less to execute and gives the
//! same outputs.
//!
//! What stands before the read-out without effect is taken away here; [`mixture`] replaces qubits that stay
//! Z-diagonal by classical bits, [`phase_folding`] puts ZZ phases where their parity already stands on a wire,
//! [`product_state`] finds ZZ phases onto qubits still in a product state.

pub mod mixture;
pub mod phase_folding;
pub mod product_state;

use crate::transpile::ir::{Axis, Step};
use qdllm_runtime::circuit::affine::Affine;

#[derive(Clone, Debug, PartialEq)]
pub struct Branch {
    /// Its weight: the product over `(angle, one)` of `sin^2(angle/2)` if `one`, else `cos^2(angle/2)`.
    pub weight: Vec<(Affine, bool)>,
    pub steps: Vec<Step>,
    /// Z words read at the end: (mask of qubits, negated).
    pub outputs: Vec<(u16, bool)>,
}

impl Branch {
    pub fn weight(&self, inputs: &[f64]) -> f64 {
        let factor = |(angle, one): &(Affine, bool)| {
            let (sin, cos) = (angle.value(inputs) / 2.0).sin_cos();
            if *one { sin * sin } else { cos * cos }
        };
        self.weight.iter().map(factor).product()
    }

    /// CZs that the steps take with every qubit coupled to every other.
    pub fn cost(&self) -> usize {
        self.steps.iter().map(Step::cost).sum()
    }

    /// Takes away what stands before the read-out: diagonals that commute to the end vanish, CX and X turn
    /// into other parities, and qubits that no parity needs are not rotated.
    pub fn absorb_measurement(&mut self) {
        // What later kept steps do on each qubit: nothing, or only things diagonal in Z.
        let (mut touched, mut turned) = (0_u16, 0_u16);
        let outputs = &mut self.outputs;
        retain_from_end(&mut self.steps, |step| {
            let on = |mask: u16, q: u8| mask >> q & 1 == 1;
            match *step {
                Step::Rz(q, _) if !on(turned, q) => return false,
                Step::Zz(a, b, _) if !on(turned, a) && !on(turned, b) => return false,
                Step::X(q) if !on(touched, q) => {
                    outputs.iter_mut().for_each(|(mask, negated)| *negated ^= on(*mask, q));
                    return false;
                }
                Step::Cx(c, t) if !on(turned, c) && !on(touched, t) => {
                    outputs.iter_mut().for_each(|(mask, _)| *mask ^= (*mask >> t & 1) << c);
                    return false;
                }
                Step::Ry(q, _) if !on(touched, q) && !outputs.iter().any(|o| on(o.0, q)) => {
                    return false;
                }
                _ => {}
            }
            for (q, axis) in step.acts() {
                touched |= 1 << q;
                turned |= u16::from(axis != Axis::Z) << q;
            }
            true
        });
    }

    /// Takes away what no measurement sees and leaves every output on its qubit: diagonals before the
    /// read-out, and steps all of whose qubits are neither read nor used afterwards.
    pub fn trim(&mut self) {
        let mut seen = self.outputs.iter().fold(0_u16, |all, (mask, _)| all | mask);
        let mut turned = 0_u16;
        retain_from_end(&mut self.steps, |step| {
            let acts = step.acts();
            let on = acts.iter().fold(0, |m, (q, _)| m | 1_u16 << q);
            let diagonal = acts.iter().all(|&(q, axis)| axis == Axis::Z && turned >> q & 1 == 0);
            let kept = seen & on != 0 && !diagonal;
            if kept {
                seen |= on;
                acts.iter().for_each(|&(q, axis)| turned |= u16::from(axis != Axis::Z) << q);
            }
            kept
        });
    }
}

/// As `Vec::retain`, from the last to the first.
fn retain_from_end(steps: &mut Vec<Step>, keep: impl FnMut(&Step) -> bool) {
    steps.reverse();
    steps.retain(keep);
    steps.reverse();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_measurement_sees_is_trimmed_and_outputs_stay() {
        let t = || Affine::constant(0.3);
        let mut branch = Branch {
            weight: Vec::new(),
            steps: vec![
                Step::Cx(0, 1),
                Step::Ry(1, t()),
                // Qubits 2 and 3 are not read; 2 only matters through 1.
                Step::Cx(2, 1),
                Step::Cx(2, 3),
                Step::Ry(3, t()),
                Step::Zz(0, 1, t()),
                Step::Rz(0, t()),
            ],
            outputs: vec![(0b01, false), (0b10, false)],
        };
        let outputs = branch.outputs.clone();
        branch.trim();
        assert_eq!(branch.steps, [Step::Cx(0, 1), Step::Ry(1, t()), Step::Cx(2, 1)]);
        assert_eq!(branch.outputs, outputs);
    }

    #[test]
    fn trailing_steps_become_parities_and_others_stay() {
        let t = || Affine::constant(0.3);
        let mut branch = Branch {
            weight: Vec::new(),
            steps: vec![
                Step::Ry(0, t()),
                Step::Ry(2, t()),
                Step::Cx(0, 1),
                Step::Ry(1, t()),
                Step::Zz(0, 1, t()),
                Step::X(0),
                Step::Cx(1, 0),
                Step::Rz(0, t()),
            ],
            outputs: vec![(0b001, false), (0b010, true)],
        };
        branch.absorb_measurement();
        // Qubit 2 is not read, so its RY is gone too; the first CX has an RY behind its target.
        assert_eq!(branch.steps, [Step::Ry(0, t()), Step::Cx(0, 1), Step::Ry(1, t())]);
        assert_eq!(branch.outputs, [(0b011, true), (0b010, true)]);
    }
}

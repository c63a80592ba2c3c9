//! Takes away what stands before the read-out: diagonals that commute to the end vanish, CX and X
//! turn into other parities, and qubits that no parity needs are not rotated. Or only what no
//! measurement sees.

use crate::transpile::ir::{Axis, Step};
use crate::transpile::rewrite::Branch;

pub fn absorb(branch: &mut Branch) {
    // What later kept steps do on each qubit: nothing, or only things diagonal in Z.
    let (mut touched, mut turned) = (0_u16, 0_u16);
    let mut kept = Vec::new();
    for step in std::mem::take(&mut branch.steps).into_iter().rev() {
        let free = |q: u8| touched >> q & 1 == 0;
        let diagonal_after = |q: u8| turned >> q & 1 == 0;
        let gone = match step {
            Step::Rz(q, _) => diagonal_after(q),
            Step::Zz(a, b, _) => diagonal_after(a) && diagonal_after(b),
            Step::X(q) if free(q) => {
                for (mask, negated) in &mut branch.outputs {
                    *negated ^= *mask >> q & 1 == 1;
                }
                true
            }
            Step::Cx(c, t) if diagonal_after(c) && free(t) => {
                for (mask, _) in &mut branch.outputs {
                    *mask ^= (*mask >> t & 1) << c;
                }
                true
            }
            Step::Ry(q, _) => free(q) && branch.outputs.iter().all(|(m, _)| m >> q & 1 == 0),
            _ => false,
        };
        if !gone {
            for (q, axis) in step.acts() {
                touched |= 1 << q;
                if axis != Axis::Z {
                    turned |= 1 << q;
                }
            }
            kept.push(step);
        }
    }
    kept.reverse();
    branch.steps = kept;
}

/// Takes away what no measurement sees and leaves every output on its qubit: diagonals before the
/// read-out, and steps all of whose qubits are neither read nor used afterwards.
pub fn trim(branch: &mut Branch) {
    let mut seen = branch.outputs.iter().fold(0_u16, |all, (mask, _)| all | mask);
    let mut turned = 0_u16;
    let mut kept = Vec::new();
    for step in std::mem::take(&mut branch.steps).into_iter().rev() {
        let acts = step.acts();
        let on = acts.iter().fold(0, |m, (q, _)| m | 1_u16 << q);
        let diagonal = acts.iter().all(|&(q, axis)| axis == Axis::Z && turned >> q & 1 == 0);
        if seen & on == 0 || diagonal {
            continue;
        }
        seen |= on;
        for (q, axis) in acts {
            if axis != Axis::Z {
                turned |= 1 << q;
            }
        }
        kept.push(step);
    }
    kept.reverse();
    branch.steps = kept;
}

#[cfg(test)]
mod tests {
    use super::*;
    use qdllm_runtime::circuit::affine::Affine;

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
        trim(&mut branch);
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
        absorb(&mut branch);
        // Qubit 2 is not read, so its RY is gone too; the first CX has an RY behind its target.
        assert_eq!(branch.steps, [Step::Ry(0, t()), Step::Cx(0, 1), Step::Ry(1, t())]);
        assert_eq!(branch.outputs, [(0b011, true), (0b010, true)]);
    }
}

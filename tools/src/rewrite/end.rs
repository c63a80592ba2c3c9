//! Takes away what stands before the read-out: diagonals that commute to the end vanish, CX and X
//! turn into other parities, and qubits that no parity needs are not rotated.

use crate::rewrite::Branch;
use crate::step::{Axis, Step};

/// Shortens the branch from its end.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::step::Lin;

    #[test]
    fn trailing_steps_become_parities_and_others_stay() {
        let t = || Lin::number(0.3);
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

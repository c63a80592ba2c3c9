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

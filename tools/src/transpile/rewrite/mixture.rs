//! Replaces a qubit that is prepared alone and stays Z-diagonal afterwards by a classical bit: the
//! circuit becomes a mixture of two smaller ones.
//!
//! Such a qubit is a control and a factor of phases only, so measuring it first changes nothing. A
//! qubit that is still |0> or |1> is the same with one branch.

use crate::transpile::ir::{Axis, Step};
use crate::transpile::rewrite::Branch;
use qdllm_runtime::circuit::affine::Affine;
use std::f64::consts::PI;

/// Branches that a mixture may have: each is a circuit to run.
pub const MAX_BRANCHES: usize = 4;

/// Splits the branch while a qubit can be split off at a gain.
pub fn split(branch: Branch, qubits: u8) -> Vec<Branch> {
    let mut all = vec![branch];
    for q in 0..qubits {
        let next: Vec<Branch> = all.iter().flat_map(|b| split_at(b, q)).collect();
        let most = |list: &[Branch]| list.iter().map(Branch::cost).max();
        let saves = most(&next) < most(&all);
        if next.len() == all.len() || (saves && next.len() <= MAX_BRANCHES) {
            all = next;
        }
    }
    all
}

/// The branches without `q`; the branch itself where `q` cannot be split off.
fn split_at(branch: &Branch, q: u8) -> Vec<Branch> {
    // Before its RY the qubit is |0>, so phases there need no split; after it only Z is allowed.
    let mut prepared: Option<Affine> = None;
    let mut flipped = false;
    let mut used = false;
    for step in branch.steps.iter().filter(|s| s.touches(q)) {
        let axis = step.acts().iter().find(|a| a.0 == q).map(|a| a.1);
        match step {
            Step::Ry(_, angle) if !used => {
                // RY(t) X = X RY(-t): past an X the angle counts the other way.
                let signed = angle.clone().scaled(if flipped { -1.0 } else { 1.0 });
                prepared.get_or_insert_default().add(signed);
            }
            Step::X(_) if !used => flipped ^= true,
            // Between two RY a phase would count.
            Step::Rz(..) if prepared.is_none() => {}
            _ if axis == Some(Axis::Z) => used = true,
            _ => return vec![branch.clone()],
        }
    }
    let angle = prepared.unwrap_or_default();
    let odd = (angle.constant / PI).round().rem_euclid(2.0) == 1.0;
    let values = if angle.is_multiple_of(PI) { vec![odd] } else { vec![false, true] };
    let with_bit = |&one: &bool| {
        let bit = one ^ flipped;
        let signed = |t: &Affine| t.clone().scaled(if bit { -1.0 } else { 1.0 });
        let steps = branch.steps.iter().filter_map(|step| match step {
            Step::Zz(a, b, t) if *a == q => Some(Step::Rz(*b, signed(t))),
            Step::Zz(a, b, t) if *b == q => Some(Step::Rz(*a, signed(t))),
            Step::Cx(c, t) if *c == q => bit.then_some(Step::X(*t)),
            other => (!other.touches(q)).then(|| other.clone()),
        });
        let without = |&(mask, negated): &(u16, bool)| {
            (mask & !(1 << q), negated ^ (bit && mask >> q & 1 == 1))
        };
        let outputs = branch.outputs.iter().map(without).collect();
        let mut weight = branch.weight.clone();
        weight.extend((values.len() == 2).then(|| (angle.clone(), one)));
        Branch { weight, steps: steps.collect(), outputs }
    };
    values.iter().map(with_bit).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn branch(steps: Vec<Step>) -> Branch {
        Branch { weight: Vec::new(), steps, outputs: vec![(0b01, false), (0b11, false)] }
    }

    #[test]
    fn a_control_becomes_two_weighted_branches() {
        let angle = Affine::parameter(0);
        let steps = vec![
            Step::Ry(1, angle),
            Step::Ry(0, Affine::constant(0.4)),
            Step::Zz(0, 1, Affine::constant(0.7)),
            Step::Ry(0, Affine::constant(0.2)),
            Step::Cx(1, 0),
        ];
        let all = split(branch(steps), 2);
        assert_eq!(all.len(), 2);
        let inputs = [0.9];
        assert!((all[0].weight(&inputs) - 0.45_f64.cos().powi(2)).abs() < 1e-15);
        assert!((all[1].weight(&inputs) - 0.45_f64.sin().powi(2)).abs() < 1e-15);
        assert!(all[0].steps.contains(&Step::Rz(0, Affine::constant(0.7))));
        assert!(all[1].steps.contains(&Step::Rz(0, Affine::constant(-0.7))));
        assert_eq!((all[0].steps.len(), all[1].steps.last()), (3, Some(&Step::X(0))));
        assert_eq!(all[0].outputs, [(0b01, false), (0b01, false)]);
        assert_eq!(all[1].outputs, [(0b01, false), (0b01, true)]);
    }

    #[test]
    fn a_qubit_in_a_basis_state_needs_no_second_branch() {
        let steps = vec![Step::X(1), Step::Cx(1, 0), Step::Ry(0, Affine::constant(1.0))];
        let all = split(branch(steps), 1);
        // Qubit 0 is a target: it cannot be split off, and only it was asked for.
        assert_eq!(all.len(), 1);
        let steps = vec![Step::X(1), Step::Cx(1, 0), Step::Ry(0, Affine::constant(1.0))];
        let all = split(branch(steps), 2);
        assert_eq!(all.len(), 1);
        assert_eq!(all[0].steps, [Step::X(0), Step::Ry(0, Affine::constant(1.0))]);
        assert_eq!(all[0].outputs[1], (0b01, true));
    }

    #[test]
    fn a_rotation_after_the_coupling_forbids_the_split() {
        let ry = |q| Step::Ry(q, Affine::constant(1.0));
        let steps = vec![ry(0), ry(1), Step::Cx(1, 0), ry(1), ry(0)];
        assert_eq!(split(branch(steps.clone()), 2), [branch(steps)]);
    }
}

//! Replaces a qubit that is prepared alone and stays Z-diagonal afterwards by a classical bit: the
//! circuit becomes a mixture of two smaller ones.
//!
//! Such a qubit is a control and a factor of phases only, so measuring it first changes nothing. A
//! qubit that is still |0> or |1> is the same with one branch.

use crate::rewrite::Branch;
use crate::step::{Axis, Lin, Step};
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
    let whole = || vec![branch.clone()];
    // Before its RY the qubit is |0>, so phases there need no split; after it only Z is allowed.
    let mut prepared: Option<Lin> = None;
    let mut flipped = false;
    let mut used = false;
    for step in branch.steps.iter().filter(|s| s.touches(q)) {
        let axis = step.acts().iter().find(|a| a.0 == q).map(|a| a.1);
        match step {
            Step::Ry(_, angle) if !used => {
                // RY(t) X = X RY(-t): past an X the angle counts the other way.
                let signed = angle.clone().times(if flipped { -1.0 } else { 1.0 });
                prepared = Some(prepared.unwrap_or_default().plus(&signed));
            }
            Step::X(_) if !used => flipped ^= true,
            // Between two RY a phase would count.
            Step::Rz(..) if prepared.is_none() => {}
            _ if axis == Some(Axis::Z) => used = true,
            _ => return whole(),
        }
    }
    let angle = prepared.unwrap_or_default();
    let values: &[bool] = if !angle.is_multiple_of(PI) {
        &[false, true]
    } else if (angle.constant / PI).round().rem_euclid(2.0) == 1.0 {
        &[true]
    } else {
        &[false]
    };
    values.iter().map(|&one| with_bit(branch, q, one, flipped, &angle, values.len() == 2)).collect()
}

fn with_bit(branch: &Branch, q: u8, one: bool, flipped: bool, angle: &Lin, both: bool) -> Branch {
    let bit = one ^ flipped;
    let signed = |t: &Lin| t.clone().times(if bit { -1.0 } else { 1.0 });
    let steps = branch.steps.iter().filter_map(|step| match step {
        Step::Zz(a, b, t) if *a == q => Some(Step::Rz(*b, signed(t))),
        Step::Zz(a, b, t) if *b == q => Some(Step::Rz(*a, signed(t))),
        Step::Cx(c, t) if *c == q => bit.then_some(Step::X(*t)),
        other => (!other.touches(q)).then(|| other.clone()),
    });
    let outputs = branch
        .outputs
        .iter()
        .map(|&(mask, negated)| (mask & !(1 << q), negated ^ (bit && mask >> q & 1 == 1)));
    let mut weight = branch.weight.clone();
    if both {
        weight.push((angle.clone(), one));
    }
    Branch { weight, steps: steps.collect(), outputs: outputs.collect() }
}

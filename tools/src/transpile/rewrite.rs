//! Rewrites that change what is prepared or read: a branch of the source becomes shorter ones whose weighted mixture has
//! the same outputs.

use crate::transpile::ir::{Axis, Step, cost, merged};
use crate::transpile::route::Order;
use qdllm_runtime::circuit::affine::Affine;
use std::f64::consts::PI;

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
            let on = step.acts().fold(0, |m, (q, _)| m | 1_u16 << q);
            let diagonal = step.acts().all(|(q, axis)| axis == Axis::Z && turned >> q & 1 == 0);
            let kept = seen & on != 0 && !diagonal || matches!(step, Step::Fence(_));
            if kept {
                seen |= on;
                step.acts().for_each(|(q, axis)| turned |= u16::from(axis != Axis::Z) << q);
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

/// Branches that a mixture may have: each is a circuit to run.
pub const MAX_BRANCHES: usize = 4;

/// Replaces qubits that are prepared alone and stay Z-diagonal afterwards by classical bits, while that is a gain: the
/// circuit becomes a mixture of smaller ones.
///
/// Such a qubit is a control and a factor of phases only, so measuring it first changes nothing. A
/// qubit that is still |0> or |1> is the same with one branch.
pub fn split(branch: Branch, qubits: u8) -> Vec<Branch> {
    let mut all = vec![branch];
    for q in 0..qubits {
        let next: Vec<Branch> = all.iter().flat_map(|b| split_at(b, q)).collect();
        let most = |list: &[Branch]| list.iter().map(|b| cost(&b.steps)).max();
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
        let axis = step.acts().find(|a| a.0 == q).map(|a| a.1);
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

/// Puts each ZZ phase where its parity already stands on one wire of a CX block: there it is an RZ. Returns the
/// number of phases that became RZ or met another.
///
/// A Z word passes RZ, ZZ and the RY of other qubits unchanged, changes sign at an X, and at a CX
/// takes up or drops the control. So it can be followed to every place in its block.
pub fn fold_phases(steps: &mut Vec<Step>) -> usize {
    let mut folded = 0;
    let mut i = 0;
    while i < steps.len() {
        if let Step::Zz(a, b, angle) = steps[i].clone()
            && let Some(place) = free_place(steps, i, 1 << a | 1 << b)
        {
            folded += 1;
            let sign = if place.negated { -1.0 } else { 1.0 };
            put(steps, i, &place, angle.scaled(sign));
            // What stood before `i` may have moved by one; all of it has been looked at.
            continue;
        }
        i += 1;
    }
    folded
}

struct Place {
    /// Before this step (of the list that still holds the phase).
    at: usize,
    /// The word there: one qubit, or the pair of the ZZ that stands at `at`.
    mask: u16,
    negated: bool,
}

fn put(steps: &mut Vec<Step>, from: usize, place: &Place, angle: Affine) {
    let a = place.mask.trailing_zeros() as u8;
    let b = 15 - place.mask.leading_zeros() as u8;
    // Where it is once the phase has been taken out.
    let at = if place.at > from { place.at - 1 } else { place.at };
    if a == b {
        steps.remove(from);
        steps.insert(at, Step::Rz(a, angle));
    } else if let Some(sum) = merged(&steps[place.at], &Step::Zz(a, b, angle)) {
        steps.remove(from);
        steps.splice(at..=at, sum);
    }
}

/// The nearest place where `mask`, the word of the phase at `from`, is one qubit or another ZZ's word.
fn free_place(steps: &[Step], from: usize, mask: u16) -> Option<Place> {
    let found = |at: usize, mask: u16, negated: bool| {
        let at_zz = matches!(steps.get(at), Some(Step::Zz(a, b, _)) if mask == 1 << a | 1 << b);
        (mask.count_ones() == 1 || at_zz).then_some(Place { at, mask, negated })
    };
    let (mut m, mut negated) = (mask, false);
    for at in (0..from).rev() {
        let place = pass(&steps[at], &mut m, &mut negated).then(|| found(at, m, negated));
        match place {
            None => break,
            Some(None) => {}
            Some(place) => return place,
        }
    }
    let (mut m, mut negated) = (mask, false);
    // The end of the circuit counts as a place too.
    for at in from + 1..=steps.len() {
        let place = found(at, m, negated);
        if place.is_some() || !steps.get(at).is_some_and(|s| pass(s, &mut m, &mut negated)) {
            return place;
        }
    }
    None
}

/// Takes a word to the other side of a step, in either direction; false where it cannot go.
fn pass(step: &Step, mask: &mut u16, negated: &mut bool) -> bool {
    match *step {
        Step::Rz(..) | Step::Zz(..) => true,
        Step::Ry(q, _) => *mask >> q & 1 == 0,
        Step::X(q) => {
            *negated ^= *mask >> q & 1 == 1;
            true
        }
        Step::Cx(c, t) => {
            *mask ^= (*mask >> t & 1) << c;
            true
        }
        Step::ZzProduct(a, b, _) | Step::Swap(a, b) => *mask & (1 << a | 1 << b) == 0,
        Step::Fence(fence) => *mask & fence.mask() == 0,
    }
}

/// The steps with ZZ phases one of whose qubits is still in a product state first and marked, for a tree rooted at
/// `root`: they take one CZ, not two.
///
/// The ZZ phases that can act before any CX form a graph; along a tree of it from a root, every edge
/// reaches a fresh qubit. The root decides how deep the circuit becomes, so each is offered.
pub fn mark_products(steps: &[Step], root: u8) -> Vec<Step> {
    let (phase, before) = first_phases(steps);
    // What the moved phases wait for: one-qubit steps only, in their order.
    let mut order: Vec<usize> = (0..steps.len()).filter(|&i| before[i]).collect();
    let mut left: Vec<usize> = (0..steps.len()).filter(|&i| phase[i]).collect();
    let on = |i: usize| match steps[i] {
        Step::Fence(fence) => fence.mask(),
        ref step => step.pair().map_or(0, |(a, b)| 1_u16 << a | 1 << b),
    };
    let mut reached = 1_u16 << root;
    while !left.is_empty() {
        let next = left.iter().position(|&i| reached & on(i) != 0);
        let i = left.remove(next.unwrap_or(0));
        reached |= on(i);
        order.push(i);
    }
    order.extend((0..steps.len()).filter(|&i| !phase[i] && !before[i]));
    let mut used = 1_u16 << root;
    let marked = |i: usize| {
        let step = &steps[i];
        let fresh = |q: u8| used >> q & 1 == 0;
        let marked = match *step {
            Step::Zz(a, b, ref t) if step.cost() == 2 && fresh(b) => {
                Step::ZzProduct(a, b, t.clone())
            }
            Step::Zz(a, b, ref t) if step.cost() == 2 && fresh(a) => {
                Step::ZzProduct(b, a, t.clone())
            }
            _ => step.clone(),
        };
        used |= on(i);
        marked
    };
    order.into_iter().map(marked).collect()
}

/// The routed steps with marks only where they still hold: an exchange entangles, as far as one can
/// see from the order of steps, so a qubit that was moved counts as used.
pub fn kept_products(steps: Vec<Step>) -> Vec<Step> {
    let mut used = [false; 256];
    let still = |step: Step| {
        if let Step::Fence(fence) = step {
            fence.qubits().for_each(|q| used[q as usize] = true);
        }
        let Some((a, b)) = step.pair() else { return step };
        let [used_a, used_b] = [a, b].map(|q| std::mem::replace(&mut used[q as usize], true));
        match step {
            Step::ZzProduct(_, _, t) if used_a && used_b => Step::Zz(a, b, t),
            Step::ZzProduct(_, _, t) if used_b => Step::ZzProduct(b, a, t),
            other => other,
        }
    };
    steps.into_iter().map(still).collect()
}

/// Which steps are ZZ phases that can act before every other two-qubit step but their likes, and which one-qubit
/// steps must stand before one of those.
fn first_phases(steps: &[Step]) -> (Vec<bool>, Vec<bool>) {
    let n = steps.len();
    let mut waits = vec![Vec::new(); n];
    for (i, after) in Order::of(steps).after.iter().enumerate() {
        after.iter().for_each(|&j| waits[j].push(i));
    }
    let mut alone = vec![false; n];
    let mut phase = vec![false; n];
    for i in 0..n {
        let clear = waits[i].iter().all(|&j| alone[j]);
        alone[i] = clear && steps[i].pair().is_none() && !matches!(steps[i], Step::Fence(_));
        phase[i] = clear && matches!(steps[i], Step::Zz(..));
    }
    let mut before = vec![false; n];
    for i in (0..n).rev() {
        if phase[i] || before[i] {
            waits[i].iter().for_each(|&j| before[j] = true);
        }
    }
    (phase, before)
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

    #[test]
    fn a_parity_that_stands_on_a_wire_is_used_there() {
        let t = || Affine::constant(0.5);
        // Between the two CX wire 1 holds x0 + x1, which after them is the word of both wires.
        let mut steps =
            vec![Step::Cx(0, 1), Step::X(1), Step::Cx(0, 1), Step::Ry(2, t()), Step::Zz(0, 1, t())];
        assert_eq!(fold_phases(&mut steps), 1);
        assert_eq!(steps.iter().filter(|s| s.pair().is_some()).count(), 2);
        // Right before the last CX, behind the X: the sign has not changed.
        assert_eq!(steps[2], Step::Rz(1, t()));
    }

    #[test]
    fn a_rotation_of_the_word_stops_it() {
        let t = || Affine::constant(0.5);
        let mut steps =
            vec![Step::Cx(0, 1), Step::Ry(1, t()), Step::Zz(0, 1, t()), Step::Ry(0, t())];
        let before = steps.clone();
        assert_eq!(fold_phases(&mut steps), 0);
        assert_eq!(steps, before);
    }

    #[test]
    fn equal_words_meet_in_one_phase() {
        let t = || Affine::constant(0.5);
        // x0 + x1 becomes x0 + x2 by CX(1, 2) CX(2, 1): another pair of wires, one parity.
        let mut steps = vec![
            Step::Zz(0, 1, t()),
            Step::Cx(1, 2),
            Step::Cx(2, 1),
            Step::Cx(1, 2),
            Step::Zz(0, 2, t()),
        ];
        assert_eq!(fold_phases(&mut steps), 1);
        assert_eq!(steps.iter().filter(|s| matches!(s, Step::Zz(..))).count(), 1);
    }

    fn chain() -> Vec<Step> {
        let t = || Affine::constant(0.5);
        let zz = |a| Step::Zz(a, a + 1, t());
        vec![
            Step::Ry(0, t()),
            zz(0),
            Step::Ry(0, t()),
            zz(1),
            Step::Ry(1, t()),
            zz(2),
            Step::Cx(0, 1),
        ]
    }

    #[test]
    fn a_chain_of_phases_costs_one_cz_each_from_any_root() {
        for root in 0..4 {
            let marked = mark_products(&chain(), root);
            assert_eq!(marked.len(), chain().len());
            assert_eq!(marked.iter().map(Step::cost).sum::<usize>(), 4, "root {root}: {marked:?}");
        }
    }

    #[test]
    fn the_last_phase_of_a_ring_reaches_no_fresh_qubit() {
        let zz = |a, b| Step::Zz(a, b, Affine::constant(0.5));
        let marked = mark_products(&[zz(0, 1), zz(1, 2), zz(2, 0)], 0);
        assert_eq!(marked.iter().map(Step::cost).sum::<usize>(), 1 + 1 + 2);
    }

    #[test]
    fn an_exchange_takes_the_mark_away() {
        let t = || Affine::constant(0.5);
        let steps = vec![Step::Swap(1, 2), Step::ZzProduct(0, 1, t()), Step::ZzProduct(1, 2, t())];
        assert_eq!(
            kept_products(steps),
            [Step::Swap(1, 2), Step::ZzProduct(1, 0, t()), Step::Zz(1, 2, t())]
        );
    }
}

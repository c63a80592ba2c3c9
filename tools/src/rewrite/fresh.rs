//! Marks ZZ phases one of whose qubits is still in a product state: they take one CZ, not two.
//!
//! The ZZ phases that can act before any CX form a graph; along a tree of it from a root, every edge
//! reaches a fresh qubit. The root decides how deep the circuit becomes, so each is offered.

use crate::step::Step;

/// The steps with such phases first and marked, for a tree rooted at `root`.
pub fn mark(steps: &[Step], root: u8) -> Vec<Step> {
    let first = first_phases(steps);
    // What the moved phases wait for: one-qubit steps only, in their order.
    let mut order: Vec<usize> = (0..steps.len()).filter(|&i| first.before[i]).collect();
    let mut left: Vec<usize> = (0..steps.len()).filter(|&i| first.phase[i]).collect();
    let mut reached = 1_u16 << root;
    while !left.is_empty() {
        let next = left
            .iter()
            .position(|&i| steps[i].pair().is_some_and(|(a, b)| reached & (1 << a | 1 << b) != 0));
        let i = left.remove(next.unwrap_or(0));
        if let Some((a, b)) = steps[i].pair() {
            reached |= 1 << a | 1 << b;
        }
        order.push(i);
    }
    let rest = (0..steps.len()).filter(|&i| !first.phase[i] && !first.before[i]);
    let ordered: Vec<Step> = order.iter().copied().chain(rest).map(|i| steps[i].clone()).collect();
    let mut used = 1_u16 << root;
    ordered
        .into_iter()
        .map(|step| {
            let Some((a, b)) = step.pair() else { return step };
            let fresh = |q: u8| used >> q & 1 == 0;
            let marked = match &step {
                Step::Zz(_, _, t) if step.cost() == 2 && fresh(b) => Step::Fresh(a, b, t.clone()),
                Step::Zz(_, _, t) if step.cost() == 2 && fresh(a) => Step::Fresh(b, a, t.clone()),
                _ => step,
            };
            used |= 1 << a | 1 << b;
            marked
        })
        .collect()
}

/// The routed steps with marks only where they still hold: an exchange entangles, as far as one can
/// see from the order of steps, so a qubit that was moved counts as used.
pub fn kept(steps: Vec<Step>) -> Vec<Step> {
    let mut used = [false; 256];
    let still = |step: Step| {
        let Some((a, b)) = step.pair() else { return step };
        let (used_a, used_b) = (used[a as usize], used[b as usize]);
        used[a as usize] = true;
        used[b as usize] = true;
        match step {
            Step::Fresh(_, _, t) if used_a && used_b => Step::Zz(a, b, t),
            Step::Fresh(_, _, t) if used_b => Step::Fresh(b, a, t),
            other => other,
        }
    };
    steps.into_iter().map(still).collect()
}

struct First {
    /// ZZ phases that can act before every other two-qubit step but their likes.
    phase: Vec<bool>,
    /// One-qubit steps that must stand before one of those.
    before: Vec<bool>,
}

fn first_phases(steps: &[Step]) -> First {
    let n = steps.len();
    let waits = |i: usize| (0..i).filter(move |&j| !steps[j].commutes(&steps[i]));
    let mut alone = vec![false; n];
    let mut phase = vec![false; n];
    for i in 0..n {
        let clear = waits(i).all(|j| alone[j]);
        alone[i] = clear && steps[i].pair().is_none();
        phase[i] = clear && matches!(steps[i], Step::Zz(..));
    }
    let mut before = vec![false; n];
    for i in (0..n).rev() {
        if phase[i] || before[i] {
            waits(i).for_each(|j| before[j] = true);
        }
    }
    First { phase, before }
}

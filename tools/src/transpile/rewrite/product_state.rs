//! Marks ZZ phases one of whose qubits is still in a product state: they take one CZ, not two.
//!
//! The ZZ phases that can act before any CX form a graph; along a tree of it from a root, every edge
//! reaches a fresh qubit. The root decides how deep the circuit becomes, so each is offered.

use crate::transpile::ir::Step;

/// The steps with such phases first and marked, for a tree rooted at `root`.
pub fn mark(steps: &[Step], root: u8) -> Vec<Step> {
    let (phase, before) = first_phases(steps);
    // What the moved phases wait for: one-qubit steps only, in their order.
    let mut order: Vec<usize> = (0..steps.len()).filter(|&i| before[i]).collect();
    let mut left: Vec<usize> = (0..steps.len()).filter(|&i| phase[i]).collect();
    let on = |i: usize| steps[i].pair().map_or(0, |(a, b)| 1_u16 << a | 1 << b);
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
pub fn kept(steps: Vec<Step>) -> Vec<Step> {
    let mut used = [false; 256];
    let still = |step: Step| {
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
    (phase, before)
}

#[cfg(test)]
mod tests {
    use super::*;
    use qdllm_runtime::circuit::affine::Affine;

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
            let marked = mark(&chain(), root);
            assert_eq!(marked.len(), chain().len());
            assert_eq!(marked.iter().map(Step::cost).sum::<usize>(), 4, "root {root}: {marked:?}");
        }
    }

    #[test]
    fn the_last_phase_of_a_ring_reaches_no_fresh_qubit() {
        let zz = |a, b| Step::Zz(a, b, Affine::constant(0.5));
        let marked = mark(&[zz(0, 1), zz(1, 2), zz(2, 0)], 0);
        assert_eq!(marked.iter().map(Step::cost).sum::<usize>(), 1 + 1 + 2);
    }

    #[test]
    fn an_exchange_takes_the_mark_away() {
        let t = || Affine::constant(0.5);
        let steps = vec![Step::Swap(1, 2), Step::ZzProduct(0, 1, t()), Step::ZzProduct(1, 2, t())];
        assert_eq!(
            kept(steps),
            [Step::Swap(1, 2), Step::ZzProduct(1, 0, t()), Step::Zz(1, 2, t())]
        );
    }
}

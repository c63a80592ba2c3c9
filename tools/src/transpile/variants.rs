//! The same outputs from other steps, before anything is placed: which of them takes the fewest CZ depends on the
//! circuit, so all are offered.

use crate::transpile::block::merged;
use crate::transpile::greedy::resynthesised;
use crate::transpile::ir::{Step, cost, expanded};
use crate::transpile::native::elements;
use crate::transpile::rewrite::Branch;
use crate::transpile::synthesis::{Element, cz_count};
use qdllm_runtime::circuit::affine::Affine;
use std::f64::consts::FRAC_PI_2;

/// The branch itself, from its Pauli rotations, and each of these with its two-qubit blocks made again. With
/// `parities` an output may become a parity, else each stays one qubit.
pub fn variants(branch: Branch, parities: bool, tidied: impl Fn(Branch) -> Branch) -> Vec<Branch> {
    let rotations = resynthesised(&branch, parities).into_iter().map(&tidied);
    let mut others: Vec<Branch> = rotations.collect();
    let merged: Vec<Branch> =
        others.iter().chain([&branch]).filter_map(with_blocks).map(&tidied).collect();
    others.extend(merged);
    others.sort_by_cached_key(|branch| cost(&branch.steps));
    let costs = others.iter().chain([&branch]).map(|branch| cost(&branch.steps));
    let least = costs.min().unwrap_or(0);
    // What starts far behind is not overtaken by routing.
    let near = |branch: &Branch, by: usize| 4 * cost(&branch.steps) <= by * least + 16;
    others.retain(|other| near(other, 6) && *other != branch);
    others.truncate(MOST);
    // The source is often made for couplers like the processor's.
    if near(&branch, 8) {
        others.insert(0, branch);
    }
    others
}

/// That are routed beside the branch.
const MOST: usize = 6;

/// The branch with its two-qubit blocks made again; `None` where angles are not known yet.
fn with_blocks(branch: &Branch) -> Option<Branch> {
    let known = |step: &Step| match step {
        Step::Rz(_, t) | Step::Ry(_, t) | Step::Zz(_, _, t) | Step::ZzProduct(_, _, t) => {
            t.terms.is_empty()
        }
        _ => true,
    };
    if !branch.steps.iter().all(known) {
        return None;
    }
    let read = branch.outputs.iter().fold(0, |all, (mask, _)| all | mask);
    let measured: Vec<u8> = (0..16).filter(|q| read >> q & 1 == 1).collect();
    let all = elements(&expanded(&branch.steps), &[]);
    let before = cz_count(&all);
    let all = merged(all, &measured);
    (cz_count(&all) < before).then(|| Branch { steps: steps(&all), ..branch.clone() })
}

/// Elements as steps again.
fn steps(elements: &[Element]) -> Vec<Step> {
    let mut steps = Vec::new();
    for element in elements {
        match *element {
            Element::One(q, m) => {
                let (theta, phi, lambda) = m.zyz();
                let turns = [(false, lambda), (true, theta), (false, phi)];
                for (y, t) in turns.into_iter().filter(|turn| turn.1 != 0.0) {
                    let t = Affine::constant(t);
                    steps.push(if y { Step::Ry(q, t) } else { Step::Rz(q, t) });
                }
            }
            Element::Cz(a, b) => {
                steps.push(Step::Zz(a, b, Affine::constant(FRAC_PI_2)));
                steps.extend([a, b].map(|q| Step::Rz(q, Affine::constant(-FRAC_PI_2))));
            }
            Element::Fence(fence) => steps.push(Step::Fence(fence)),
        }
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transpile::block::tests::probabilities;
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    const QUBITS: u8 = 5;

    /// Of all outputs together.
    fn distribution(branch: &Branch) -> Vec<f64> {
        let mut all = vec![0.0; 1 << branch.outputs.len()];
        let elements = elements(&expanded(&branch.steps), &[]);
        for (x, p) in probabilities(&elements, QUBITS).iter().enumerate() {
            let bit = |&(mask, negated): &(u16, bool)| {
                (x as u16 & mask).count_ones() % 2 == 1 - u32::from(negated)
            };
            let word = branch.outputs.iter().rev().fold(0, |w, o| w << 1 | usize::from(bit(o)));
            all[word] += p;
        }
        all
    }

    fn step(rng: &mut ChaCha8Rng, special: u32) -> Step {
        let angle = match rng.random_range(0..100) < special {
            true => FRAC_PI_2 * f64::from(rng.random_range(0..4_u8)),
            false => rng.random_range(-3.0..3.0),
        };
        let a = rng.random_range(0..QUBITS);
        let b = (a + rng.random_range(1..QUBITS)) % QUBITS;
        match rng.random_range(0..6) {
            0 => Step::Rz(a, Affine::constant(angle)),
            1 => Step::Ry(a, Affine::constant(angle)),
            2 => Step::Zz(a, b, Affine::constant(angle)),
            3 => Step::X(a),
            _ => Step::Cx(a, b),
        }
    }

    fn random(rng: &mut ChaCha8Rng, parities: bool) -> Branch {
        let special = [0, 50, 90, 100][rng.random_range(0..4)];
        let steps = (0..rng.random_range(1..60)).map(|_| step(rng, special)).collect();
        let mut masks: Vec<u16> = (0..QUBITS).map(|q| 1 << q).collect();
        masks.retain(|_| rng.random_range(0..4) > 0);
        if parities {
            masks.iter_mut().for_each(|mask| *mask = rng.random_range(0..1 << QUBITS));
        }
        let negated = |mask| (mask, parities && rng.random_range(0..2) == 0);
        let outputs = masks.into_iter().map(negated).collect();
        Branch { weight: Vec::new(), steps, outputs }
    }

    #[test]
    fn all_variants_have_the_same_outputs_and_the_best_is_no_dearer() {
        let mut rng = ChaCha8Rng::seed_from_u64(12);
        let (mut before, mut after) = (0, 0);
        for i in 0..300 {
            let parities = i % 2 == 0;
            let branch = random(&mut rng, parities);
            let want = distribution(&branch);
            before += cost(&branch.steps);
            let all = variants(branch, parities, |branch| branch);
            after += all.iter().map(|b| cost(&b.steps)).min().unwrap();
            for variant in all {
                assert!(parities || variant.outputs.iter().all(|o| o.0.is_power_of_two() && !o.1));
                for (p, q) in want.iter().zip(distribution(&variant)) {
                    assert!((p - q).abs() < 1e-9, "{p} and {q}: {variant:?}");
                }
            }
        }
        assert!(3 * after < before, "{after} of {before}");
    }

    #[test]
    fn steps_that_only_turn_a_stabilizer_state_vanish() {
        // A GHZ state of five qubits; a phase of two of them is none.
        let t = || Affine::constant(0.7);
        let mut steps = vec![Step::Ry(0, Affine::constant(FRAC_PI_2))];
        steps.extend((1..QUBITS).map(|q| Step::Cx(q - 1, q)));
        let ghz = steps.clone();
        steps.extend([Step::Zz(0, 3, t()), Step::Zz(1, 2, t()), Step::Ry(4, t())]);
        let outputs = (0..QUBITS).map(|q| (1 << q, false)).collect();
        let branch = Branch { weight: Vec::new(), steps, outputs };
        let all = variants(branch, false, |branch| branch);
        let least = all.iter().map(|b| cost(&b.steps)).min();
        assert_eq!(least, Some(cost(&ghz)));
    }
}

//! Searches the physical steps of a branch: placements, routings, orders; of all, the fewest CZ after
//! two-qubit blocks have been merged, then the least depth.

use crate::circuit::longest_chain;
use crate::processor::Processor;
use crate::transpile::block::merged;
use crate::transpile::ir::{Step, expanded};
use crate::transpile::native::elements;
use crate::transpile::place::{Layout, NOWHERE, Placement, pairs, place};
use crate::transpile::rewrite::{Branch, kept_products, mark_products};
use crate::transpile::route::{Order, Routed, Weights, cz_depth, route, scheduled};
use crate::transpile::synthesis::{Element, cz_count};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Inputs without any special value, to compare layouts whose angles are not known yet.
const SOME_INPUTS: [f64; 11] =
    [0.83, -1.47, 2.11, 0.39, -2.63, 1.19, -0.71, 2.87, -1.93, 0.57, 1.61];

/// Results whose blocks are merged before the choice: those with the fewest CZ before.
const FINALISTS: usize = 100;

const ORDERS: usize = 3;

/// Physical steps of one CZ each, and the final layout, of the best of `tries` routings.
pub fn laid_out(
    branch: &Branch,
    needed: u16,
    qubits: u8,
    processor: &Processor,
    seed: u64,
    tries: usize,
) -> (Vec<Step>, Layout) {
    let orders = orders(branch, needed, qubits);
    let nowhere = || (Vec::new(), vec![NOWHERE; 16]);
    // Without any qubit every output is constant.
    let Some(first) = orders.first() else { return nowhere() };
    let placements = place(&pairs(first, qubits as usize), needed, processor, 12);
    let all: Vec<Routed> = match placements.first() {
        Some(Placement { layout, missing: 0, .. }) => {
            let put = |steps: &Vec<Step>| {
                let steps = steps.iter().map(|s| s.renamed(|q| layout[q as usize])).collect();
                Routed { steps, layout: layout.clone() }
            };
            orders.iter().map(put).collect()
        }
        _ => routings(&orders, &placements, processor, seed, tries),
    };
    let both_ways = |Routed { steps, layout }| {
        let steps = kept_products(steps);
        let ways = [scheduled(&expanded(&scheduled(&steps))), expanded(&steps)];
        ways.map(|steps| Routed { steps, layout: layout.clone() })
    };
    let mut finished: Vec<Routed> = all.into_iter().flat_map(both_ways).collect();
    finished.sort_by_cached_key(|r| (cost(&r.steps), cz_depth(&r.steps)));
    finished.truncate(FINALISTS);
    let read = branch.outputs.iter().fold(0, |all, (mask, _)| all | mask);
    let key = |r: &Routed| {
        let measured: Vec<u8> =
            (0..qubits as usize).filter(|q| read >> q & 1 == 1).map(|q| r.layout[q]).collect();
        let all = merged(elements(&r.steps, &SOME_INPUTS), &measured);
        (cz_count(&all), depth(&all))
    };
    let best = finished.into_iter().min_by_key(key);
    best.map_or_else(nowhere, |r| (r.steps, r.layout))
}

fn cost(steps: &[Step]) -> usize {
    steps.iter().map(Step::cost).sum()
}

/// Orders of the steps, with the phases onto fresh qubits of a tree from different roots; the
/// cheapest first.
fn orders(branch: &Branch, needed: u16, qubits: u8) -> Vec<Vec<Step>> {
    let roots = (0..qubits).filter(|q| needed >> q & 1 == 1);
    let mut all: Vec<_> =
        roots.map(|root| scheduled(&mark_products(&branch.steps, root))).collect();
    all.sort_by_cached_key(|steps| (cost(steps), cz_depth(steps)));
    all.truncate(ORDERS);
    all
}

fn routings(
    orders: &[Vec<Step>],
    placements: &[Placement],
    processor: &Processor,
    seed: u64,
    tries: usize,
) -> Vec<Routed> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let waits: Vec<Order> = orders.iter().map(|v| Order::of(v)).collect();
    let one = |attempt: usize| {
        let (steps, order) = (&orders[attempt % orders.len()], &waits[attempt % orders.len()]);
        let mut layout = placements[attempt % placements.len()].layout.clone();
        let weights = Weights {
            later: [0.3, 0.5, 0.8, 1.2][rng.random_range(0..4)],
            horizon: [8, 15, 20, 30][rng.random_range(0..4)],
            merge: [0.0, 0.3, 0.7, 1.0][rng.random_range(0..4)],
        };
        if attempt >= placements.len() {
            // There and back again: where a backward pass ends is a good place to begin.
            let back: Vec<Step> = steps.iter().rev().cloned().collect();
            let backward = Order::of(&back);
            let there = route(steps, order, processor, &layout, weights, &mut rng);
            layout = route(&back, &backward, processor, &there.layout, weights, &mut rng).layout;
        }
        route(steps, order, processor, &layout, weights, &mut rng)
    };
    (0..tries.max(1)).map(one).collect()
}

/// Longest chain of CZ in the order as it stands.
fn depth(elements: &[Element]) -> usize {
    longest_chain(elements.iter().filter_map(|element| match *element {
        Element::Cz(a, b) => Some(([a, b], 1)),
        Element::One(..) => None,
    }))
}

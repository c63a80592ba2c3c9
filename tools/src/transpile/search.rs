//! Searches the physical steps of a branch: placements, routings, orders; of all, the fewest CZ after
//! two-qubit blocks have been merged, then the least depth.

use crate::circuit::longest_chain;
use crate::processor::Processor;
use crate::transpile::block::merged;
use crate::transpile::ir::{Step, cost, expanded};
use crate::transpile::native::elements;
use crate::transpile::rewrite::{Branch, kept_products, mark_products};
use crate::transpile::route::{
    Layout, NOWHERE, Order, Routed, Weights, cz_depth, route, scheduled,
};
use crate::transpile::synthesis::{Element, cz_count};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::cmp::Reverse;
use std::time::{Duration, Instant};

/// Inputs without any special value, to compare layouts whose angles are not known yet.
const SOME_INPUTS: [f64; 11] =
    [0.83, -1.47, 2.11, 0.39, -2.63, 1.19, -0.71, 2.87, -1.93, 0.57, 1.61];

/// Results whose blocks are merged before the choice: those with the fewest CZ before.
const FINALISTS: usize = 50;

const ORDERS: usize = 3;

/// Steps up to which every circuit gets all its routings; a longer one gets fewer, so that time grows with its length only.
const SHORT: usize = 1000;

const FEWEST_TRIES: usize = 8;

/// How much is searched, and until when.
pub struct Effort<'a> {
    deadline: Option<Instant>,
    /// Whether the deadline ended anything.
    pub cut: bool,
    progress: &'a mut dyn FnMut(usize, usize),
    tries: usize,
    done: usize,
    /// Routings there are in all, at most.
    total: usize,
}

impl<'a> Effort<'a> {
    pub fn new(limit: Option<Duration>, progress: &'a mut dyn FnMut(usize, usize)) -> Self {
        let deadline = limit.and_then(|limit| Instant::now().checked_add(limit));
        Self { deadline, cut: false, progress, tries: 0, done: 0, total: 0 }
    }

    /// Before all: the circuits' steps.
    pub fn expect(&mut self, tries: usize, steps: impl Iterator<Item = usize>) {
        self.total = steps.map(|n| share(tries, n)).sum();
    }

    /// For the next circuit.
    pub fn begin(&mut self, tries: usize, steps: usize) {
        self.tries = share(tries, steps);
    }

    pub fn is_over(&mut self) -> bool {
        let over = self.deadline.is_some_and(|deadline| Instant::now() >= deadline);
        self.cut |= over;
        over
    }

    fn tried(&mut self) {
        self.done += 1;
        (self.progress)(self.done.min(self.total), self.total);
    }
}

/// The routings of a circuit.
fn share(tries: usize, steps: usize) -> usize {
    (tries * SHORT / steps.max(SHORT)).max(FEWEST_TRIES.min(tries)).max(1)
}

/// CZ, and the longest chain of them.
pub type Key = (usize, usize);

/// Physical steps of one CZ each, and the final layout, of the best of all routings, with what they take.
pub fn laid_out(
    branch: &Branch,
    needed: u16,
    qubits: u8,
    processor: &Processor,
    seed: u64,
    effort: &mut Effort<'_>,
) -> (Key, Vec<Step>, Layout) {
    let orders = orders(branch, needed, qubits);
    let nowhere = || ((0, 0), Vec::new(), vec![NOWHERE; 16]);
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
        _ => routings(&orders, &placements, processor, seed, effort),
    };
    let both_ways = |Routed { steps, layout }| {
        let steps = kept_products(steps);
        let ways = [scheduled(&expanded(&scheduled(&steps))), expanded(&steps)];
        ways.map(|steps| Routed { steps, layout: layout.clone() })
    };
    let mut finished: Vec<Routed> = all.into_iter().flat_map(both_ways).collect();
    finished.sort_by_cached_key(|r| (cost(&r.steps), cz_depth(&r.steps)));
    finished.truncate(FINALISTS.min(effort.tries));
    let read = branch.outputs.iter().fold(0, |all, (mask, _)| all | mask);
    let key = |r: &Routed| {
        let measured: Vec<u8> =
            (0..qubits as usize).filter(|q| read >> q & 1 == 1).map(|q| r.layout[q]).collect();
        let all = merged(elements(&r.steps, &SOME_INPUTS), &measured);
        (cz_count(&all), depth(&all))
    };
    let mut best: Option<(Key, Routed)> = None;
    for routed in finished {
        if best.is_some() && effort.is_over() {
            break;
        }
        let key = key(&routed);
        if best.as_ref().is_none_or(|(least, _)| key < *least) {
            best = Some((key, routed));
        }
    }
    best.map_or_else(nowhere, |(key, r)| (key, r.steps, r.layout))
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
    effort: &mut Effort<'_>,
) -> Vec<Routed> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let waits: Vec<Order> = orders.iter().map(|v| Order::of(v)).collect();
    let backs: Vec<Vec<Step>> =
        orders.iter().map(|steps| steps.iter().rev().cloned().collect()).collect();
    let backward: Vec<Order> = backs.iter().map(|v| Order::of(v)).collect();
    let mut one = |attempt: usize| {
        let (steps, order) = (&orders[attempt % orders.len()], &waits[attempt % orders.len()]);
        let mut layout = placements[attempt % placements.len()].layout.clone();
        let weights = Weights {
            later: [0.3, 0.5, 0.8, 1.2][rng.random_range(0..4)],
            horizon: [8, 15, 20, 30][rng.random_range(0..4)],
            merge: [0.0, 0.3, 0.7, 1.0][rng.random_range(0..4)],
        };
        if attempt >= placements.len() {
            // There and back again: where a backward pass ends is a good place to begin.
            let (back, backward) =
                (&backs[attempt % orders.len()], &backward[attempt % orders.len()]);
            let there = route(steps, order, processor, &layout, weights, &mut rng);
            layout = route(back, backward, processor, &there.layout, weights, &mut rng).layout;
        }
        route(steps, order, processor, &layout, weights, &mut rng)
    };
    let mut all = Vec::new();
    for attempt in 0..effort.tries {
        if attempt > 0 && effort.is_over() {
            break;
        }
        all.push(one(attempt));
        effort.tried();
    }
    all
}

/// Longest chain of CZ in the order as it stands.
fn depth(elements: &[Element]) -> usize {
    longest_chain(elements.iter().filter_map(|element| match *element {
        Element::Cz(a, b) => Some(([a, b], 1)),
        Element::One(..) | Element::Fence(_) => None,
    }))
}

#[derive(Clone, Debug, PartialEq)]
struct Placement {
    layout: Layout,
    /// CZs that distances will cost, about: 0 means that no exchange is needed.
    missing: usize,
    /// Negative logarithm of the success that its CZs allow.
    loss: f64,
}

/// Search steps in all; shared among the starting qubits.
const BUDGET: usize = 120_000;

/// CZs on each pair of logical qubits.
fn pairs(steps: &[Step], qubits: usize) -> Vec<Vec<usize>> {
    let mut weights = vec![vec![0; qubits]; qubits];
    for step in steps {
        if let Some((a, b)) = step.pair() {
            weights[a as usize][b as usize] += step.cost();
            weights[b as usize][a as usize] += step.cost();
        }
    }
    weights
}

/// Up to `keep` placements of the logical qubits in `used`, the best first: a subgraph isomorphism scored by error where
/// one exists, else the placements whose pairs lie closest.
fn place(weights: &[Vec<usize>], used: u16, processor: &Processor, keep: usize) -> Vec<Placement> {
    let order = visit_order(weights, used);
    let reach = |p: usize| processor.distance[p].iter().filter(|&&d| d < u8::MAX).count();
    let starts: Vec<usize> = (0..processor.qubits).filter(|&p| reach(p) >= order.len()).collect();
    let mut search = Search {
        weights,
        processor,
        order: &order,
        layout: vec![NOWHERE; weights.len()],
        taken: vec![false; processor.qubits],
        best: Vec::new(),
        keep,
        budget: 0,
    };
    if order.is_empty() {
        return vec![Placement { layout: search.layout, missing: 0, loss: 0.0 }];
    }
    for &start in &starts {
        search.budget = BUDGET / starts.len().max(1);
        search.put(0, start as u8, 0, 0.0);
    }
    search.best
}

/// Most tightly coupled first, then always the one most coupled to those before.
fn visit_order(weights: &[Vec<usize>], used: u16) -> Vec<usize> {
    let mut left: Vec<usize> = (0..weights.len()).filter(|&q| used >> q & 1 == 1).collect();
    let mut order: Vec<usize> = Vec::new();
    while !left.is_empty() {
        let linked = |q: usize| order.iter().map(|&o| weights[q][o]).sum::<usize>();
        let key =
            |i: &usize| (linked(left[*i]), weights[left[*i]].iter().sum::<usize>(), Reverse(*i));
        let at = (0..left.len()).max_by_key(key).unwrap_or(0);
        order.push(left.remove(at));
    }
    order
}

struct Search<'a> {
    weights: &'a [Vec<usize>],
    processor: &'a Processor,
    order: &'a [usize],
    layout: Layout,
    taken: Vec<bool>,
    best: Vec<Placement>,
    keep: usize,
    budget: usize,
}

impl Search<'_> {
    fn put(&mut self, depth: usize, p: u8, missing: usize, loss: f64) {
        if self.budget == 0 {
            return;
        }
        self.budget -= 1;
        let (more, lost) = self.price(self.order[depth], p);
        let (missing, loss) = (missing + more, loss + lost);
        // Where it would stand among the best.
        let rank = self.best.partition_point(|b| (b.missing, b.loss) <= (missing, loss));
        if rank == self.keep {
            return;
        }
        self.layout[self.order[depth]] = p;
        self.taken[p as usize] = true;
        if depth + 1 == self.order.len() {
            self.best.insert(rank, Placement { layout: self.layout.clone(), missing, loss });
            self.best.truncate(self.keep);
        } else {
            for next in self.candidates(depth + 1) {
                self.put(depth + 1, next, missing, loss);
            }
        }
        self.layout[self.order[depth]] = NOWHERE;
        self.taken[p as usize] = false;
    }

    /// What qubit `q` costs on `p`, against those already placed.
    fn price(&self, q: usize, p: u8) -> (usize, f64) {
        let readout = self.processor.readout_error(p).unwrap_or(0.0);
        let mut missing = 0;
        let mut loss =
            -(1.0 - readout).max(1e-9).ln() - (1.0 - self.processor.one_error(p)).max(1e-9).ln();
        for (other, &w) in self.weights[q].iter().enumerate().filter(|(_, w)| **w > 0) {
            let at = self.layout[other];
            if at == NOWHERE {
                continue;
            }
            match self.processor.distance[p as usize][at as usize] {
                u8::MAX => missing += 1_000_000,
                1 => loss -= w as f64 * (1.0 - self.processor.cz_error(p, at)).max(1e-9).ln(),
                d => missing += w * (d as usize - 1),
            }
        }
        (missing, loss)
    }

    /// Free qubits next to a placed partner, else next to anything placed, cheapest first.
    fn candidates(&self, depth: usize) -> Vec<u8> {
        let q = self.order[depth];
        let around = |only_partners: bool| {
            let mut all: Vec<u8> = self.order[..depth]
                .iter()
                .filter(|&&o| !only_partners || self.weights[q][o] > 0)
                .flat_map(|&o| self.processor.neighbours[self.layout[o] as usize].iter().copied())
                .filter(|&p| !self.taken[p as usize])
                .collect();
            all.sort_unstable();
            all.dedup();
            all
        };
        let mut all = around(true);
        if all.is_empty() {
            all = around(false);
        }
        let key = |p: &u8| self.price(q, *p);
        all.sort_by(|a, b| key(a).partial_cmp(&key(b)).unwrap_or(std::cmp::Ordering::Equal));
        all
    }
}

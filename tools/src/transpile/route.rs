//! Inserts exchanges where pairs are not coupled: a look-ahead search in the manner of SABRE
//! (Li, Ding, Xie 2019), over an order that lets commuting steps overtake each other.

use crate::processor::Processor;
use crate::transpile::ir::{Step, exchanged};
use crate::transpile::place::{Layout, NOWHERE};
use crate::transpile::schedule::Order;
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use std::collections::{HashMap, VecDeque};

/// Steps on physical qubits, and where each logical qubit ends.
#[derive(Clone, Debug, PartialEq)]
pub struct Routed {
    pub steps: Vec<Step>,
    pub layout: Layout,
}

#[derive(Clone, Copy, Debug)]
pub struct Weights {
    /// Weight of pairs that come later against those that wait now.
    pub later: f64,
    pub horizon: usize,
    /// What an exchange right after a step on the same pair is favoured by (it costs one CZ, not three).
    pub merge: f64,
}

/// Exchanges without progress after which the nearest pair is brought together directly.
const PATIENCE: usize = 30;

pub fn route(
    steps: &[Step],
    order: &Order,
    processor: &Processor,
    layout: &Layout,
    weights: Weights,
    rng: &mut ChaCha8Rng,
) -> Routed {
    let mut router = Router {
        steps,
        order,
        processor,
        waits: order.waits.clone(),
        ready: (0..steps.len()).filter(|&i| order.waits[i] == 0).collect(),
        layout: layout.clone(),
        last_pair: vec![NOWHERE; processor.qubits],
        decay: vec![0.0; processor.qubits],
        result: Vec::with_capacity(steps.len()),
    };
    let mut idle = 0;
    loop {
        if router.advance() {
            idle = 0;
            router.decay.fill(0.0);
        }
        let Some(&first) = router.ready.first() else {
            return Routed { steps: router.result, layout: router.layout };
        };
        idle += 1;
        let (a, b) =
            if idle > PATIENCE { router.towards(first) } else { router.choose(weights, rng) };
        router.exchange(a, b);
    }
}

struct Router<'a> {
    steps: &'a [Step],
    order: &'a Order,
    processor: &'a Processor,
    waits: Vec<usize>,
    ready: Vec<usize>,
    layout: Layout,
    /// The other qubit of the last two-qubit step on each physical qubit.
    last_pair: Vec<u8>,
    decay: Vec<f64>,
    result: Vec<Step>,
}

impl Router<'_> {
    /// Emits everything that can be executed; whether a two-qubit step was among it.
    fn advance(&mut self) -> bool {
        let mut progress = false;
        loop {
            let runs = |i: &usize| {
                let Some((a, b)) = self.steps[*i].pair() else { return true };
                self.processor.coupled(self.layout[a as usize], self.layout[b as usize])
            };
            let Some(at) = self.ready.iter().position(runs) else { return progress };
            let i = self.ready.remove(at);
            let step = self.steps[i].renamed(|q| self.layout[q as usize]);
            if let Some((a, b)) = step.pair() {
                progress = true;
                self.met(a, b);
            }
            self.result.push(step);
            for &j in &self.order.after[i] {
                self.waits[j] -= 1;
                if self.waits[j] == 0 {
                    self.ready.push(j);
                }
            }
        }
    }

    fn met(&mut self, a: u8, b: u8) {
        self.last_pair[a as usize] = b;
        self.last_pair[b as usize] = a;
    }

    fn exchange(&mut self, a: u8, b: u8) {
        self.layout.iter_mut().for_each(|place| *place = exchanged(*place, a, b));
        self.result.push(Step::Swap(a, b));
        self.met(a, b);
        self.decay[a as usize] += 0.01;
        self.decay[b as usize] += 0.01;
    }

    /// The first exchange on a shortest way between the two qubits of a step.
    fn towards(&self, i: usize) -> (u8, u8) {
        let (a, b) = self.places(i);
        let distance = &self.processor.distance[b as usize];
        let next =
            self.processor.neighbours[a as usize].iter().min_by_key(|n| distance[**n as usize]);
        (a, next.copied().unwrap_or(b))
    }

    fn places(&self, i: usize) -> (u8, u8) {
        let [(a, _), (b, _)] = self.steps[i].acts();
        (self.layout[a as usize], self.layout[b as usize])
    }

    fn choose(&self, weights: Weights, rng: &mut ChaCha8Rng) -> (u8, u8) {
        let places =
            |steps: &[usize]| -> Vec<_> { steps.iter().map(|&i| self.places(i)).collect() };
        let (now, later) = (places(&self.ready), places(&self.upcoming(weights.horizon)));
        let total = |pairs: &[(u8, u8)], a: u8, b: u8| -> f64 {
            let moved = |p| exchanged(p, a, b);
            let far = |&(p, q): &(u8, u8)| {
                f64::from(self.processor.distance[moved(p) as usize][moved(q) as usize])
            };
            pairs.iter().map(far).sum::<f64>() / pairs.len().max(1) as f64
        };
        let (mut best, mut ties) = ((f64::INFINITY, (0, 0)), 0_u32);
        let around = |a: u8| self.processor.neighbours[a as usize].iter().map(move |&b| (a, b));
        let mut seen = Vec::new();
        for (a, b) in now.iter().flat_map(|&(p, q)| [p, q]).flat_map(around) {
            let pair = (a.min(b), a.max(b));
            if seen.contains(&pair) {
                continue;
            }
            seen.push(pair);
            let slow = 1.0 + self.decay[a as usize].max(self.decay[b as usize]);
            let mut score = slow * (total(&now, a, b) + weights.later * total(&later, a, b));
            if self.last_pair[a as usize] == b && self.last_pair[b as usize] == a {
                score -= weights.merge / now.len() as f64;
            }
            if score < best.0 - 1e-9 {
                (best, ties) = ((score, pair), 1);
            } else if score < best.0 + 1e-9 {
                ties += 1;
                if rng.random_range(0..ties) == 0 {
                    best = (score, pair);
                }
            }
        }
        best.1
    }

    /// Two-qubit steps that follow those that wait now, nearest first.
    fn upcoming(&self, horizon: usize) -> Vec<usize> {
        let mut waits = HashMap::new();
        let mut queue = VecDeque::from(self.ready.clone());
        let mut found = Vec::new();
        while let Some(i) = queue.pop_front() {
            for &j in &self.order.after[i] {
                let left = waits.entry(j).or_insert(self.waits[j]);
                *left -= 1;
                if *left > 0 {
                    continue;
                }
                found.extend(self.steps[j].pair().map(|_| j));
                if found.len() == horizon {
                    return found;
                }
                queue.push_back(j);
            }
        }
        found
    }
}

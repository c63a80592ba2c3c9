//! Which step must wait for which, and an order that keeps the two-qubit depth small. Where pairs are not coupled
//! exchanges are put in: a look-ahead search in the manner of SABRE (Li, Ding, Xie 2019), in which commuting steps
//! overtake each other.

use crate::circuit::longest_chain;
use crate::processor::Processor;
use crate::transpile::ir::{Axis, Step, exchanged};
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use std::collections::VecDeque;

/// The order that steps leave free: an edge where two steps share a qubit and do not commute.
#[derive(Clone, Debug)]
pub struct Order {
    pub after: Vec<Vec<usize>>,
    pub waits: Vec<usize>,
}

impl Order {
    pub fn of(steps: &[Step]) -> Self {
        let mut after = vec![Vec::new(); steps.len()];
        let mut waits = vec![0; steps.len()];
        // Of each qubit, the last steps that act on it alike, and those before them: what comes next waits for
        // one of the two, and with it for all before.
        let mut last: Vec<Stretch> = vec![Stretch::default(); 256];
        for (i, step) in steps.iter().enumerate() {
            let mut earlier: Vec<usize> = Vec::new();
            for (q, axis) in step.acts() {
                earlier.extend(last[q as usize].joined(i, axis));
            }
            earlier.sort_unstable();
            earlier.dedup();
            waits[i] = earlier.len();
            earlier.into_iter().for_each(|j| after[j].push(i));
        }
        Self { after, waits }
    }
}

#[derive(Clone, Default)]
struct Stretch {
    axis: Option<Axis>,
    steps: Vec<usize>,
    before: Vec<usize>,
}

impl Stretch {
    /// Takes up a step that acts in this way; what it waits for.
    fn joined(&mut self, step: usize, axis: Axis) -> &[usize] {
        // A one-qubit step names its qubit twice.
        if self.steps.last() == Some(&step) {
            return &self.before;
        }
        if self.axis != Some(axis) || axis == Axis::Other {
            (self.axis, self.before) = (Some(axis), std::mem::take(&mut self.steps));
        }
        self.steps.push(step);
        &self.before
    }
}

/// The same circuit in an order found by list scheduling: of the steps that may come next, those
/// with the longest chain of CZ behind them go first, and each qubit takes one at a time.
pub fn scheduled(steps: &[Step]) -> Vec<Step> {
    let order = Order::of(steps);
    let mut behind = vec![0; steps.len()];
    for i in (0..steps.len()).rev() {
        let next = order.after[i].iter().map(|&j| behind[j]).max().unwrap_or(0);
        behind[i] = next + steps[i].cost();
    }
    let mut waits = order.waits.clone();
    let mut ready: Vec<usize> = (0..steps.len()).filter(|&i| waits[i] == 0).collect();
    let mut busy_until = [0_usize; 256];
    let mut result = Vec::with_capacity(steps.len());
    let mut now = 0;
    while !ready.is_empty() {
        ready.sort_by_key(|&i| (steps[i].cost() > 0, std::cmp::Reverse(behind[i]), i));
        let can = |i: usize, busy: &[usize; 256]| {
            steps[i].cost() == 0 || steps[i].acts().all(|a| busy[a.0 as usize] <= now)
        };
        let Some(at) = ready.iter().position(|&i| can(i, &busy_until)) else {
            now += 1;
            continue;
        };
        let i = ready.remove(at);
        if steps[i].cost() > 0 {
            for (q, _) in steps[i].acts() {
                busy_until[q as usize] = now + steps[i].cost();
            }
        }
        result.push(steps[i].clone());
        for &j in &order.after[i] {
            waits[j] -= 1;
            if waits[j] == 0 {
                ready.push(j);
            }
        }
    }
    result
}

/// Longest chain of CZ in the order as it stands.
pub fn cz_depth(steps: &[Step]) -> usize {
    longest_chain(steps.iter().filter_map(|s| s.pair().map(|(a, b)| ([a, b], s.cost()))))
}

/// Which physical qubit each logical qubit has; [`NOWHERE`] for qubits that no step touches.
pub type Layout = Vec<u8>;

pub const NOWHERE: u8 = u8::MAX;

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
        // What waits acts on a pair.
        let (a, b) = self.steps[i].pair().unwrap_or_default();
        (self.layout[a as usize], self.layout[b as usize])
    }

    fn choose(&mut self, weights: Weights, rng: &mut ChaCha8Rng) -> (u8, u8) {
        let upcoming = self.upcoming(weights.horizon);
        let places =
            |steps: &[usize]| -> Vec<_> { steps.iter().map(|&i| self.places(i)).collect() };
        let (now, later) = (places(&self.ready), places(&upcoming));
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
    fn upcoming(&mut self, horizon: usize) -> Vec<usize> {
        let mut queue = VecDeque::from(self.ready.clone());
        // Steps no longer waited for, to be taken back.
        let mut gone = Vec::new();
        let mut found = Vec::new();
        'all: while let Some(i) = queue.pop_front() {
            for &j in &self.order.after[i] {
                gone.push(j);
                self.waits[j] -= 1;
                if self.waits[j] > 0 {
                    continue;
                }
                found.extend(self.steps[j].pair().map(|_| j));
                if found.len() == horizon {
                    break 'all;
                }
                queue.push_back(j);
            }
        }
        gone.into_iter().for_each(|j| self.waits[j] += 1);
        found
    }
}

//! Chooses physical qubits: a subgraph isomorphism scored by error where one exists, else the
//! placements whose pairs lie closest.

use crate::processor::Processor;
use crate::transpile::ir::Step;
use std::cmp::Reverse;

/// Which physical qubit each logical qubit has; [`NOWHERE`] for qubits that no step touches.
pub type Layout = Vec<u8>;

pub const NOWHERE: u8 = u8::MAX;

#[derive(Clone, Debug, PartialEq)]
pub struct Placement {
    pub layout: Layout,
    /// CZs that distances will cost, about: 0 means that no exchange is needed.
    pub missing: usize,
    /// Negative logarithm of the success that its CZs allow.
    pub loss: f64,
}

/// Search steps in all; shared among the starting qubits.
const BUDGET: usize = 120_000;

/// CZs on each pair of logical qubits.
pub fn pairs(steps: &[Step], qubits: usize) -> Vec<Vec<usize>> {
    let mut weights = vec![vec![0; qubits]; qubits];
    for step in steps {
        if let Some((a, b)) = step.pair() {
            weights[a as usize][b as usize] += step.cost();
            weights[b as usize][a as usize] += step.cost();
        }
    }
    weights
}

/// Up to `keep` placements of the logical qubits in `used`, the best first.
pub fn place(
    weights: &[Vec<usize>],
    used: u16,
    processor: &Processor,
    keep: usize,
) -> Vec<Placement> {
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

//! Which step must wait for which, and an order that keeps the two-qubit depth small.

use crate::circuit::longest_chain;
use crate::transpile::ir::Step;

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
        for (i, step) in steps.iter().enumerate() {
            for (j, earlier) in steps[..i].iter().enumerate() {
                if !earlier.commutes(step) {
                    after[j].push(i);
                    waits[i] += 1;
                }
            }
        }
        Self { after, waits }
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
            steps[i].cost() == 0 || steps[i].acts().iter().all(|a| busy[a.0 as usize] <= now)
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

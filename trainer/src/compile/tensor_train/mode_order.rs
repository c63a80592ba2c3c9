//! The order of a train: which qubits stand beside which, and where the classes' leg is.
//!
//! From several beginnings, neighbours are exchanged wherever that narrows a bond, there and back
//! until nothing changes; the cheapest chain found wins.

use super::chain::{Chain, Mode};
use crate::compile::coefficients::Coefficients;
use crate::seed::stream;
use rand::seq::SliceRandom;
use rayon::prelude::*;

const RANDOM: usize = 8;
const PASSES: usize = 12;

/// The order that a search found cheapest with singular values under `threshold` dropped.
pub fn search(tensor: &Coefficients, threshold: f64) -> Vec<Mode> {
    let n = tensor.qubits;
    let with_leg = |qubits: &[usize], at: usize| {
        let mut modes: Vec<Mode> = qubits.iter().map(|&q| Mode::Qubit(q)).collect();
        modes.insert(at, Mode::Leg);
        modes
    };
    let natural: Vec<usize> = (0..n).collect();
    let mut starts: Vec<Vec<Mode>> =
        [0, n / 3, n / 2, 2 * n / 3, n].iter().map(|&at| with_leg(&natural, at)).collect();
    let mut random = stream(0, "order of a train");
    for i in 0..RANDOM {
        let mut qubits = natural.clone();
        qubits.shuffle(&mut random);
        starts.push(with_leg(&qubits, i * n / RANDOM.max(1)));
    }
    let found: Vec<(usize, Vec<Mode>)> = starts
        .into_par_iter()
        .map(|modes| {
            let chain = settle(Chain::new(tensor, &modes, threshold), threshold);
            (chain.multiply_adds(tensor.classes - 1), chain.modes())
        })
        .collect();
    // The first of equals, so that threads change nothing.
    found.into_iter().min_by_key(|(cost, _)| *cost).map_or(with_leg(&natural, n), |(_, m)| m)
}

fn settle(mut chain: Chain, threshold: f64) -> Chain {
    let last = chain.cores.len() - 1;
    chain.centre_at_first();
    for _ in 0..PASSES {
        let mut changed = false;
        for k in 0..last {
            changed |= chain.exchange(k, threshold);
        }
        for k in (1..=last).rev() {
            chain.step_left(k);
        }
        if !changed {
            break;
        }
    }
    chain
}

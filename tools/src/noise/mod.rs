//! What a processor's noise does to a compiled circuit: counts by trajectories.
//!
//! The model: each gate is followed by a depolarising channel on its qubits, every qubit relaxes and
//! loses coherence from its first gate to the measurement, idle or not, and every bit is misread
//! independently. [`model`] holds the figures and turns them into channels, [`trajectory`] puts them
//! on a time line and draws shots. Not in the model: cross-talk, leakage, coherent errors, drift.

pub mod model;
pub mod trajectory;

pub use crate::processor::{CouplerNoise, Figures, QubitNoise};
pub use model::NoiseModel;

use crate::circuit::Circuit;
use crate::noise::trajectory::{Event, events};
use crate::readout::BitError;
use crate::readout::counts::{Counts, MAX_BITS, key};
use crate::statevector::{MAX_SIMULATED, StateVector};
use anyhow::{Result, ensure};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeMap;

/// Shots of one circuit under a noise model.
#[derive(Clone, Debug)]
pub struct Sampler {
    qubits: usize,
    bits: usize,
    /// (bit of the state's index, classical bit, how it is misread)
    measures: Vec<(usize, u8, BitError)>,
    events: Vec<Event>,
}

impl Sampler {
    pub fn new(circuit: &Circuit, noise: &NoiseModel) -> Result<Self> {
        let used = circuit.used();
        let (qubits, measures) = (used.len(), circuit.measures.len());
        ensure!(
            qubits <= MAX_SIMULATED,
            "{qubits} qubits are in use; at most {MAX_SIMULATED} can be simulated"
        );
        ensure!(
            measures <= MAX_BITS,
            "{measures} measurements; at most {MAX_BITS} can be simulated"
        );
        let place = |q: u8| used.iter().position(|&u| u == q).unwrap_or(0);
        let measures =
            circuit.measures.iter().map(|&(q, bit)| (place(q), bit, noise.qubit(q).readout));
        Ok(Self {
            qubits,
            bits: circuit.bits,
            measures: measures.collect(),
            events: events(circuit, &used, noise),
        })
    }

    /// Counts of `shots` shots by bit string, whose rightmost character is `c[0]`; bits that nothing
    /// measures are 0. The same seed gives the same counts.
    pub fn counts(&self, shots: u64, seed: u64) -> BTreeMap<String, u64> {
        let mut all = BTreeMap::new();
        for (outcome, n) in self.outcomes(shots, seed) {
            let one = |bit: usize| {
                // The last measurement into a bit stays.
                let last = self.measures.iter().rposition(|m| m.1 as usize == bit);
                last.is_some_and(|i| outcome >> i & 1 == 1)
            };
            *all.entry(key(self.bits, one)).or_default() += n;
        }
        all
    }

    /// The same counts as numbers; an error for a classical register that is too wide.
    pub fn sample(&self, shots: u64, seed: u64) -> anyhow::Result<Counts> {
        Counts::from_strings(&self.counts(shots, seed), self.bits)
    }

    /// Outcomes whose bit `i` is that of measurement `i`.
    fn outcomes(&self, shots: u64, seed: u64) -> BTreeMap<u64, u64> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut all = BTreeMap::new();
        let mut measure = |state: &StateVector, shots: u64, rng: &mut ChaCha8Rng| {
            for x in draw(state, shots, rng) {
                let read = |(i, &(place, _, error)): (usize, &(usize, u8, BitError))| {
                    let one = x >> place & 1 == 1;
                    let wrong = if one { error.zero_from_one } else { error.one_from_zero };
                    u64::from(one != (wrong > 0.0 && rng.random::<f64>() < wrong)) << i
                };
                let outcome: u64 = self.measures.iter().enumerate().map(read).sum();
                *all.entry(outcome).or_default() += 1;
            }
        };
        trajectory::run(&self.events, self.qubits, shots, &mut rng, &mut measure);
        all
    }
}

/// Basis states of `shots` measurements of one state.
fn draw(state: &StateVector, shots: u64, rng: &mut ChaCha8Rng) -> Vec<usize> {
    let total: f64 = state.weights().sum();
    let mut numbers: Vec<f64> = (0..shots).map(|_| rng.random::<f64>() * total).collect();
    numbers.sort_unstable_by(f64::total_cmp);
    let mut numbers = numbers.into_iter().peekable();
    let mut drawn = Vec::with_capacity(shots as usize);
    let (mut sum, mut last) = (0.0, 0);
    for (x, weight) in state.weights().enumerate() {
        if weight > 0.0 {
            (sum, last) = (sum + weight, x);
        }
        while numbers.next_if(|&u| u < sum).is_some() {
            drawn.push(x);
        }
        if numbers.peek().is_none() {
            break;
        }
    }
    // Rounding may leave a number beyond the sum.
    drawn.extend(numbers.map(|_| last));
    drawn
}

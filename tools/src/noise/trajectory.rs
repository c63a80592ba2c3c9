//! Draws trajectories: shots that have had the same errors so far share one statevector.
//!
//! Between errors a trajectory is deterministic, and the probability of having had none falls along
//! it. A shot draws one number beforehand: its error comes where that probability falls below the
//! number. So the shots of a group are sorted by where they leave it; those that leave at the same
//! place by the same error become a group of their own.

use crate::matrix::Matrix;
use crate::noise::timeline::Event;
use crate::statevector::StateVector;
use qdllm_runtime::circuit::gate::GateKind;
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeMap;

/// Where within an event a group starts.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Decay,
    Flip,
    Gate,
}

/// Runs `shots` shots; `measure` gets each final state with how many shots have it.
pub fn run(
    events: &[Event],
    qubits: usize,
    shots: u64,
    rng: &mut ChaCha8Rng,
    measure: &mut dyn FnMut(&StateVector, u64, &mut ChaCha8Rng),
) {
    let mut walk = Walk { events, rng, measure };
    walk.group(StateVector::zero(qubits), 0, Stage::Decay, shots);
}

struct Walk<'a> {
    events: &'a [Event],
    rng: &'a mut ChaCha8Rng,
    measure: &'a mut dyn FnMut(&StateVector, u64, &mut ChaCha8Rng),
}

/// Shots that have not left their group: the numbers that they drew, the largest last.
struct Waiting(Vec<f64>);

impl Waiting {
    /// How many leave now that the probability of no error is `survival`.
    fn leave(&mut self, survival: f64) -> u64 {
        let before = self.0.len();
        while self.0.last().is_some_and(|&u| u > survival) {
            self.0.pop();
        }
        (before - self.0.len()) as u64
    }

    fn would_leave(&self, survival: f64) -> bool {
        self.0.last().is_some_and(|&u| u > survival)
    }
}

impl Walk<'_> {
    /// `shots` shots in a state of norm 1, from a stage of an event on.
    fn group(&mut self, mut state: StateVector, from: usize, stage: Stage, shots: u64) {
        let mut waiting: Vec<f64> = (0..shots).map(|_| self.rng.random::<f64>()).collect();
        waiting.sort_unstable_by(f64::total_cmp);
        let mut waiting = Waiting(waiting);
        // The probability of no error yet is `scalar * norm`: decay lowers the norm, which otherwise
        // no gate changes, and errors of fixed probability lower the scalar.
        let (mut scalar, mut norm) = (1.0, 1.0);
        for (i, event) in self.events.iter().enumerate().skip(from) {
            if waiting.0.is_empty() {
                return;
            }
            let stage = if i == from { stage } else { Stage::Decay };
            match event {
                Event::One { bit, relaxation, gate, whole, pauli } => {
                    let gamma = if stage == Stage::Decay { relaxation.decay } else { 0.0 };
                    let lost = if gamma > 0.0 { gamma * state.ones(*bit) } else { 0.0 };
                    let flip = if stage <= Stage::Flip { relaxation.flip } else { 0.0 };
                    let end = scalar * (1.0 - flip) * (1.0 - pauli) * (norm - lost);
                    if stage == Stage::Decay && !waiting.would_leave(end) {
                        state.apply(*bit, whole);
                        norm -= lost;
                        scalar *= (1.0 - flip) * (1.0 - pauli);
                        continue;
                    }
                    let decayed = waiting.leave(scalar * (norm - lost));
                    if decayed > 0 {
                        let mut other = state.clone();
                        other.lower(*bit);
                        self.rest(other, i, Stage::Flip, decayed);
                    }
                    state.scale(Some(*bit), (1.0 - gamma).sqrt());
                    norm -= lost;
                    scalar *= 1.0 - flip;
                    let flipped = waiting.leave(scalar * norm);
                    if flipped > 0 {
                        let mut other = state.clone();
                        other.scale(Some(*bit), -1.0);
                        self.rest(other, i, Stage::Gate, flipped);
                    }
                    state.apply(*bit, gate);
                    scalar *= 1.0 - pauli;
                    let erred = waiting.leave(scalar * norm);
                    self.paulis(&state, &[*bit], i, erred);
                }
                Event::Two { op, bits, pauli } => {
                    state.gate(op, *bits);
                    scalar *= 1.0 - pauli;
                    let erred = waiting.leave(scalar * norm);
                    self.paulis(&state, bits, i, erred);
                }
            }
        }
        if !waiting.0.is_empty() {
            (self.measure)(&state, waiting.0.len() as u64, self.rng);
        }
    }

    /// Shots that had an error go on by themselves.
    fn rest(&mut self, mut state: StateVector, event: usize, stage: Stage, shots: u64) {
        let norm: f64 = state.weights().sum();
        state.scale(None, norm.sqrt().recip());
        self.group(state, event, stage, shots);
    }

    /// Draws Paulis other than the identity on `bits` for each of `shots` shots.
    fn paulis(&mut self, state: &StateVector, bits: &[usize], event: usize, shots: u64) {
        let mut drawn: BTreeMap<usize, u64> = BTreeMap::new();
        for _ in 0..shots {
            *drawn.entry(self.rng.random_range(1..1 << (2 * bits.len()))).or_default() += 1;
        }
        for (word, shots) in drawn {
            let mut other = state.clone();
            for (i, &bit) in bits.iter().enumerate() {
                let kind = match word >> (2 * i) & 3 {
                    0 => continue,
                    1 => GateKind::X,
                    2 => GateKind::Y,
                    _ => GateKind::Z,
                };
                other.apply(bit, &Matrix::rotation(kind, 0.0));
            }
            self.rest(other, event + 1, Stage::Decay, shots);
        }
    }
}

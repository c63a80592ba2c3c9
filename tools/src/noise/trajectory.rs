//! Draws trajectories: shots that have had the same errors so far share one statevector.
//!
//! Between errors a trajectory is deterministic, and the probability of having had none falls along
//! it. A shot draws one number beforehand: its error comes where that probability falls below the
//! number. So the shots of a group are sorted by where they leave it; those that leave at the same
//! place by the same error become a group of their own.
//!
//! A circuit becomes a list of events in time: gates with what relaxation comes before them and what
//! depolarising after.
//!
//! Each gate starts as soon as its qubits are free; all measurements are at the end together. A
//! qubit relaxes from its first gate on. Relaxation during a gate is taken after the gate, so that it
//! joins the waiting time that follows; relaxation of different qubits, and of one qubit in two
//! stretches, commutes and adds up.

use crate::circuit::{Circuit, angles_rad};
use crate::matrix::Matrix;
use crate::noise::model::{NoiseModel, Relaxation};
use crate::statevector::StateVector;
use num_complex::Complex64 as C;
use qdllm_runtime::circuit::gate::{Gate, GateKind};
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeMap;

/// One event; qubits are bits of the state's index.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// Relaxation of a qubit, then a gate on it, then a random Pauli with probability `pauli`.
    One {
        bit: usize,
        relaxation: Relaxation,
        gate: Matrix,
        /// The gate times the relaxation's effect when nothing decays.
        whole: Matrix,
        pauli: f64,
    },
    /// A two-qubit gate, then a random pair of Paulis with probability `pauli`.
    Two { gate: Gate, bits: [usize; 2], pauli: f64 },
}

impl Event {
    fn one(bit: usize, relaxation: Relaxation, gate: Matrix, pauli: f64) -> Self {
        let kept = (1.0 - relaxation.decay).sqrt();
        let fading = Matrix::diagonal([C::new(1.0, 0.0), C::new(kept, 0.0)]);
        Self::One { bit, relaxation, gate, whole: fading.then(&gate), pauli }
    }
}

/// The events of a circuit over its used qubits: bit `i` of the index is the `i`-th of `used`.
pub fn events(circuit: &Circuit, used: &[u8], noise: &NoiseModel) -> Vec<Event> {
    let mut line = TimeLine {
        noise,
        used,
        pending: vec![Matrix::IDENTITY; used.len()],
        free_ns: vec![0.0; used.len()],
        relaxed_ns: vec![None; used.len()],
        events: Vec::new(),
    };
    let place = |q: u8| used.iter().position(|&u| u == q).unwrap_or(0);
    for gate in &circuit.gates {
        match *gate.on() {
            [a, b] => line.two(gate, [place(a), place(b)]),
            _ => line.one(gate, place(gate.qubits[0])),
        }
    }
    let end = line.free_ns.iter().copied().fold(0.0, f64::max);
    for bit in 0..used.len() {
        // Only what is measured is looked at any more.
        if circuit.measures.iter().any(|m| place(m.0) == bit) {
            line.settle(bit, end);
        }
    }
    line.events
}

struct TimeLine<'a> {
    noise: &'a NoiseModel,
    used: &'a [u8],
    /// Z rotations that take no time and wait for the next gate.
    pending: Vec<Matrix>,
    free_ns: Vec<f64>,
    /// Until when relaxation has been accounted for; `None` before the first gate: |0> stays |0>.
    relaxed_ns: Vec<Option<f64>>,
    events: Vec<Event>,
}

impl TimeLine<'_> {
    fn one(&mut self, gate: &Gate, bit: usize) {
        let matrix = Matrix::of(gate.kind, angles_rad(gate)).unwrap_or(Matrix::IDENTITY);
        let gate = self.pending[bit].then(&matrix);
        // Diagonal: a change of frame, without a pulse.
        if matrix.is_diagonal() {
            self.pending[bit] = gate;
            return;
        }
        self.pending[bit] = Matrix::IDENTITY;
        let qubit = self.noise.qubit(self.used[bit]);
        let start = self.free_ns[bit];
        let relaxation = self.waited(bit, start);
        self.free_ns[bit] = start + qubit.one_ns;
        self.events.push(Event::one(bit, relaxation, gate, qubit.depolarising()));
    }

    fn two(&mut self, gate: &Gate, bits: [usize; 2]) {
        let start = bits.iter().map(|&b| self.free_ns[b]).fold(0.0, f64::max);
        let [a, b] = bits.map(|bit| self.used[bit]);
        let coupler = self.noise.coupler(a, b);
        for bit in bits {
            self.settle(bit, start);
            self.free_ns[bit] = start + coupler.cz_ns;
        }
        let pauli = coupler.depolarising(&self.noise.qubit(a), &self.noise.qubit(b));
        self.events.push(Event::Two { gate: *gate, bits, pauli });
    }

    /// Relaxation up to `now`, and what waits, without a gate to join.
    fn settle(&mut self, bit: usize, now: f64) {
        let gate = std::mem::replace(&mut self.pending[bit], Matrix::IDENTITY);
        let relaxation = self.waited(bit, now);
        if !relaxation.is_nothing() || gate != Matrix::IDENTITY {
            self.events.push(Event::one(bit, relaxation, gate, 0.0));
        }
    }

    fn waited(&mut self, bit: usize, now: f64) -> Relaxation {
        let since = self.relaxed_ns[bit].replace(now).unwrap_or(now);
        self.noise.qubit(self.used[bit]).relaxation(now - since)
    }
}

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
        while self.0.pop_if(|u| *u > survival).is_some() {}
        (before - self.0.len()) as u64
    }

    fn would_leave(&self, survival: f64) -> bool {
        self.0.last().is_some_and(|&u| u > survival)
    }
}

impl Walk<'_> {
    /// `shots` shots in a state of norm 1, from a stage of an event on.
    fn group(&mut self, mut state: StateVector, from: usize, stage: Stage, shots: u64) {
        let mut waiting = Waiting((0..shots).map(|_| self.rng.random::<f64>()).collect());
        waiting.0.sort_unstable_by(f64::total_cmp);
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
                Event::Two { gate, bits, pauli } => {
                    state.gate(gate, *bits);
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
                if let Some(pauli) = (word >> (2 * i) & 3).checked_sub(1) {
                    let kind = [GateKind::X, GateKind::Y, GateKind::Z][pauli];
                    other.apply(bit, &Matrix::rotation(kind, 0.0));
                }
            }
            self.rest(other, event + 1, Stage::Decay, shots);
        }
    }
}

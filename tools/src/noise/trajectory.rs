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
//! Each gate starts as soon as its qubits are free, and those of a barrier as soon as all of its are; all measurements are at the end together. A
//! qubit relaxes from its first gate on. Relaxation during a gate is taken after the gate, so that it
//! joins the waiting time that follows; relaxation of different qubits, and of one qubit in two
//! stretches, commutes and adds up.

use crate::circuit::{Circuit, angles_rad, fences_at};
use crate::matrix::Matrix;
use crate::noise::{NoiseModel, Relaxation};
use crate::readout::{BitError, Counts, MAX_BITS, key};
use crate::statevector::{MAX_SIMULATED, StateVector};
use anyhow::{Result, ensure};
use num_complex::Complex64 as C;
use qdllm_runtime::circuit::gate::{Gate, GateKind};
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
    pub fn sample(&self, shots: u64, seed: u64) -> Result<Counts> {
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
        let mut walk = Walk { events: &self.events, rng: &mut rng, measure: &mut measure };
        walk.group(StateVector::zero(self.qubits), 0, Stage::Decay, shots);
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

/// One event; qubits are bits of the state's index.
#[derive(Clone, Debug, PartialEq)]
enum Event {
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
fn events(circuit: &Circuit, used: &[u8], noise: &NoiseModel) -> Vec<Event> {
    let mut line = TimeLine {
        noise,
        used,
        pending: vec![Matrix::IDENTITY; used.len()],
        free_ns: vec![0.0; used.len()],
        relaxed_ns: vec![None; used.len()],
        events: Vec::new(),
    };
    let place = |q: u8| used.iter().position(|&u| u == q).unwrap_or(0);
    for (i, gate) in circuit.gates.iter().enumerate() {
        for fence in fences_at(&circuit.barriers, i) {
            line.fence(fence.iter().filter(|q| used.contains(q)).map(|&q| place(q)));
        }
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
    /// All of them wait for the last.
    fn fence(&mut self, bits: impl Iterator<Item = usize> + Clone) {
        let last = bits.clone().map(|bit| self.free_ns[bit]).fold(0.0, f64::max);
        bits.for_each(|bit| self.free_ns[bit] = last);
    }

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
        if relaxation != Relaxation::default() || gate != Matrix::IDENTITY {
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

struct Walk<'a> {
    events: &'a [Event],
    rng: &'a mut ChaCha8Rng,
    /// Gets each final state with how many shots have it.
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
                    state.scale_ones(*bit, (1.0 - gamma).sqrt());
                    norm -= lost;
                    scalar *= 1.0 - flip;
                    let flipped = waiting.leave(scalar * norm);
                    if flipped > 0 {
                        let mut other = state.clone();
                        other.scale_ones(*bit, -1.0);
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
        state.scale(norm.sqrt().recip());
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

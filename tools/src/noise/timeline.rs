//! A circuit as a list of events in time: gates with what relaxation comes before them and what
//! depolarising after.
//!
//! Each gate starts as soon as its qubits are free; all measurements are at the end together. A
//! qubit relaxes from its first gate on. Relaxation during a gate is taken after the gate, so that it
//! joins the waiting time that follows; relaxation of different qubits, and of one qubit in two
//! stretches, commutes and adds up.

use crate::circuit::{Circuit, Op};
use crate::matrix::Matrix;
use crate::noise::model::{NoiseModel, Relaxation};
use num_complex::Complex64 as C;

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
    Two { op: Op, bits: [usize; 2], pauli: f64 },
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
    for op in &circuit.ops {
        match *op.on() {
            [a, b] => line.two(op, [place(a), place(b)]),
            _ => line.one(op, place(op.qubits[0])),
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
    fn one(&mut self, op: &Op, bit: usize) {
        let matrix = Matrix::of(op.kind, op.angles_rad).unwrap_or(Matrix::IDENTITY);
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

    fn two(&mut self, op: &Op, bits: [usize; 2]) {
        let start = bits.iter().map(|&b| self.free_ns[b]).fold(0.0, f64::max);
        let [a, b] = bits.map(|bit| self.used[bit]);
        let coupler = self.noise.coupler(a, b);
        for bit in bits {
            self.settle(bit, start);
            self.free_ns[bit] = start + coupler.cz_ns;
        }
        let pauli = coupler.depolarising(&self.noise.qubit(a), &self.noise.qubit(b));
        self.events.push(Event::Two { op: *op, bits, pauli });
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

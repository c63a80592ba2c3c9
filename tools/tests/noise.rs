//! Trajectories against the exact evolution of the density matrix, and against the statevector.

use crate::MODEL;
use num_complex::Complex64 as C;
use qdllm_runtime::circuit::gate::{Angle, Gate, GateKind};
use qdllm_runtime::{Model, Scratch};
use qdllm_tools::circuit::{Circuit, angles_rad};
use qdllm_tools::matrix::{Matrix, Matrix4};
use qdllm_tools::noise::{CouplerNoise, Figures, NoiseModel, QubitNoise, Sampler};
use qdllm_tools::processor::Processor;
use qdllm_tools::readout::{Answer, BitError, Counts, LinearHead, Part, answer};
use qdllm_tools::transpile::source::{Source, inputs_of};
use qdllm_tools::transpile::{Compiled, Options, Plan};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeMap;
use std::f64::consts::PI;

/// A density matrix as the vector of its entries: the row's bits, then the column's.
struct Density {
    qubits: usize,
    entries: Vec<C>,
}

impl Density {
    fn zero(qubits: usize) -> Self {
        let mut entries = vec![C::default(); 1 << (2 * qubits)];
        entries[0] = C::new(1.0, 0.0);
        Self { qubits, entries }
    }

    /// Multiplies by a matrix on these bits of the index; the first is its least.
    fn apply(&mut self, bits: &[usize], m: impl Fn(usize, usize) -> C) {
        let spread = |x: usize| bits.iter().enumerate().map(|(i, b)| (x >> i & 1) << b).sum();
        let masks: Vec<usize> = (0..1 << bits.len()).map(spread).collect();
        for x in (0..self.entries.len()).filter(|x| x & masks[masks.len() - 1] == 0) {
            let old: Vec<C> = masks.iter().map(|mask| self.entries[x | mask]).collect();
            for (i, mask) in masks.iter().enumerate() {
                self.entries[x | mask] = old.iter().enumerate().map(|(j, z)| m(i, j) * z).sum();
            }
        }
    }

    /// Rows by the gate's matrix, columns by its complex conjugate.
    fn gate(&mut self, gate: &Gate) {
        let angles = angles_rad(gate);
        let rows: Vec<usize> = gate.on().iter().map(|&q| q.into()).collect();
        let columns: Vec<usize> = rows.iter().map(|q| q + self.qubits).collect();
        let (one, two) = (Matrix::of(gate.kind, angles), Matrix4::of_two(gate.kind, angles[0]));
        let entry = |i: usize, j: usize| one.map_or_else(|| two.unwrap().0[i][j], |m| m.0[i][j]);
        self.apply(&rows, entry);
        self.apply(&columns, |i, j| entry(i, j).conj());
    }

    /// Entries by what they are (row bit, column bit) on a qubit.
    fn relax(&mut self, q: usize, noise: &QubitNoise, ns: f64) {
        let (t1, t2) = (ns / 1e3 / noise.t1_us, ns / 1e3 / noise.t2_us);
        let (row, column) = (1 << q, 1 << (q + self.qubits));
        for i in 0..self.entries.len() {
            match (i & row != 0, i & column != 0) {
                (true, true) => {
                    let fallen = self.entries[i].scale(1.0 - (-t1).exp());
                    self.entries[i] -= fallen;
                    let zero = i & !row & !column;
                    self.entries[zero] += fallen;
                }
                (false, false) => {}
                _ => self.entries[i] = self.entries[i].scale((-t2).exp()),
            }
        }
    }

    fn depolarise(&mut self, qubits: &[u8], p: f64) {
        let paulis = [None, Some(GateKind::X), Some(GateKind::Y), Some(GateKind::Z)];
        let words = 1 << (2 * qubits.len());
        let before = self.entries.clone();
        self.entries.iter_mut().for_each(|z| *z = z.scale(1.0 - p));
        for word in 1..words {
            let mut part = Self { qubits: self.qubits, entries: before.clone() };
            for (i, &q) in qubits.iter().enumerate() {
                if let Some(kind) = paulis[word >> (2 * i) & 3] {
                    part.gate(&Gate::fixed(kind, q, q));
                }
            }
            let share = p / f64::from(words as u32 - 1);
            self.entries.iter_mut().zip(part.entries).for_each(|(z, w)| *z += w.scale(share));
        }
    }
}

/// Probabilities of the outcomes, all qubits measured: time runs for all qubits at once, stretch by
/// stretch between the starts of gates.
fn exact(circuit: &Circuit, noise: &NoiseModel) -> Vec<f64> {
    let n = circuit.qubits;
    let mut free = vec![0.0_f64; n];
    let mut starts: Vec<(f64, &Gate)> = Vec::new();
    for gate in &circuit.gates {
        let start = gate.on().iter().map(|&q| free[q as usize]).fold(0.0, f64::max);
        let length = match *gate.on() {
            [a, b] => noise.coupler(a, b).cz_ns,
            _ if gate.kind == GateKind::Rz => 0.0,
            _ => noise.qubit(gate.qubits[0]).one_ns,
        };
        gate.on().iter().for_each(|&q| free[q as usize] = start + length);
        starts.push((start, gate));
    }
    starts.sort_by(|a, b| a.0.total_cmp(&b.0));
    let end = free.iter().copied().fold(0.0, f64::max);
    let mut density = Density::zero(n);
    let mut now = 0.0;
    let pass = |density: &mut Density, ns: f64| {
        (0..n).for_each(|q| density.relax(q, &noise.qubit(q as u8), ns));
    };
    for (start, gate) in starts {
        pass(&mut density, start - now);
        now = start;
        density.gate(gate);
        match *gate.on() {
            [a, b] => {
                let p = noise.coupler(a, b).depolarising(&noise.qubit(a), &noise.qubit(b));
                density.depolarise(&[a, b], p);
            }
            _ if gate.kind == GateKind::Rz => {}
            _ => density.depolarise(gate.on(), noise.qubit(gate.qubits[0]).depolarising()),
        }
    }
    pass(&mut density, end - now);
    let diagonal: Vec<f64> = (0..1 << n).map(|x| density.entries[x | x << n].re).collect();
    let misread = |from: usize, to: usize| -> f64 {
        let one = |q: usize| {
            let e = noise.qubit(q as u8).readout;
            match (from >> q & 1, to >> q & 1) {
                (0, 0) => 1.0 - e.one_from_zero,
                (0, _) => e.one_from_zero,
                (_, 0) => e.zero_from_one,
                _ => 1.0 - e.zero_from_one,
            }
        };
        (0..n).map(one).product()
    };
    let seen = |to| (0..1 << n).map(|from| diagonal[from] * misread(from, to)).sum();
    (0..1 << n).map(seen).collect()
}

fn random_circuit(rng: &mut ChaCha8Rng, qubits: u8, gates: usize) -> Circuit {
    let mut all = Vec::new();
    while all.len() < gates {
        let (a, b) = (rng.random_range(0..qubits), rng.random_range(0..qubits));
        let angle = Angle::Const(rng.random_range(-PI..PI));
        all.push(match rng.random_range(0..7) {
            0 => Gate::rotation(GateKind::Rx, a, angle),
            1 | 2 => Gate::rotation(GateKind::Ry, a, angle),
            3 => Gate::rotation(GateKind::Rz, a, angle),
            4 => Gate::fixed(GateKind::H, a, a),
            _ if a == b => continue,
            5 => Gate::fixed(GateKind::Cx, a, b),
            _ => Gate::fixed(GateKind::Cz, a, b),
        });
    }
    let n = usize::from(qubits);
    let measures = (0..qubits).map(|q| (q, q)).collect();
    Circuit { qubits: n, bits: n, gates: all, measures, ..Circuit::default() }
}

/// Pearson's statistic, over its degrees of freedom.
fn misfit(counts: &Counts, expected: &[f64]) -> f64 {
    let seen: BTreeMap<u64, u64> = counts.iter().collect();
    let shots = counts.shots as f64;
    let term = |(x, p): (usize, &f64)| {
        let wanted = (p * shots).max(1e-9);
        (seen.get(&(x as u64)).copied().unwrap_or(0) as f64 - wanted).powi(2) / wanted
    };
    expected.iter().enumerate().map(term).sum::<f64>() / (expected.len() - 1) as f64
}

fn uniform(q: QubitNoise, c: CouplerNoise) -> NoiseModel {
    let overrides = Figures {
        one_error: Some(q.one_error),
        cz_error: Some(c.error),
        t1_us: Some(q.t1_us),
        t2_us: Some(q.t2_us),
        one_ns: Some(q.one_ns),
        cz_ns: Some(c.cz_ns),
        readout: Some(q.readout),
    };
    NoiseModel { overrides, ..NoiseModel::none() }
}

fn strong() -> (QubitNoise, CouplerNoise) {
    let readout = BitError { one_from_zero: 0.02, zero_from_one: 0.07 };
    let qubit = QubitNoise { one_error: 0.02, t1_us: 9.0, t2_us: 6.0, one_ns: 80.0, readout };
    (qubit, CouplerNoise { error: 0.08, cz_ns: 220.0 })
}

#[test]
fn trajectories_follow_the_density_matrix() {
    let mut rng = ChaCha8Rng::seed_from_u64(17);
    let (qubit, coupler) = strong();
    let quiet = QubitNoise { one_error: 0.0, readout: BitError::default(), ..qubit };
    let forever = f64::INFINITY;
    let timeless = QubitNoise { t1_us: forever, t2_us: forever, ..qubit };
    let models = [
        uniform(qubit, coupler),
        // One mechanism at a time.
        uniform(quiet, CouplerNoise { error: 0.0, ..coupler }),
        uniform(timeless, CouplerNoise { cz_ns: 0.0, ..coupler }),
        uniform(QubitNoise { t2_us: 2.0 * qubit.t1_us, ..quiet }, coupler),
    ];
    for qubits in 1..=4_u8 {
        for noise in &models {
            let circuit = random_circuit(&mut rng, qubits, 10 + 6 * usize::from(qubits));
            let exact = exact(&circuit, noise);
            assert!((exact.iter().sum::<f64>() - 1.0).abs() < 1e-12);
            let counts = Sampler::new(&circuit, noise).unwrap().sample(100_000, 5).unwrap();
            assert_eq!(counts.shots, 100_000);
            // Mean 1 and variance 2 over the degrees of freedom: six standard deviations.
            let limit = 1.0 + 6.0 * (2.0 / (exact.len() - 1) as f64).sqrt();
            let fit = misfit(&counts, &exact);
            assert!(fit < limit, "{qubits} qubits: misfit {fit}");
            if qubits > 1 {
                // The same shots do not fit the circuit without noise.
                let pure = self::exact(&circuit, &NoiseModel::none());
                assert!(misfit(&counts, &pure) > 10.0 * limit);
            }
        }
    }
}

#[test]
fn the_same_seed_gives_the_same_counts_and_c0_is_rightmost() {
    let (qubit, coupler) = strong();
    let noise = uniform(qubit, coupler);
    let mut circuit = random_circuit(&mut ChaCha8Rng::seed_from_u64(2), 3, 30);
    let sampler = Sampler::new(&circuit, &noise).unwrap();
    assert_eq!(sampler.counts(500, 9), sampler.counts(500, 9));
    assert_ne!(sampler.counts(500, 9), sampler.counts(500, 10));
    let strings = Counts::from_strings(&sampler.counts(500, 9), 3).unwrap();
    assert_eq!(sampler.sample(500, 9).unwrap(), strings);

    // Physical qubits far apart, a bit that nothing measures: 5 -> c[0], 140 -> c[2].
    circuit = Circuit { qubits: 141, bits: 4, ..Circuit::default() };
    circuit.gates = vec![Gate::fixed(GateKind::X, 140, 140), Gate::fixed(GateKind::H, 7, 7)];
    circuit.measures = vec![(5, 0), (140, 2)];
    let counts = Sampler::new(&circuit, &NoiseModel::none()).unwrap().counts(100, 1);
    assert_eq!(counts, BTreeMap::from([("0100".to_owned(), 100)]));
}

#[test]
fn too_much_to_simulate_is_refused() {
    let gates = (0..21).map(|q| Gate::fixed(GateKind::H, q, q)).collect();
    let circuit = Circuit { qubits: 21, gates, ..Circuit::default() };
    let error = Sampler::new(&circuit, &NoiseModel::none()).unwrap_err();
    assert!(error.to_string().contains("21 qubits"), "{error}");
}

const TEXTS: [&str; 8] = [
    "turn on the light",
    "play music",
    "set a timer for ten minutes",
    "is it going to rain",
    "",
    "stop",
    "make it warmer in here",
    "what is on my list",
];

fn compiled(model: &Model<'_>, plan: &Plan, text: &str) -> Vec<Compiled> {
    plan.compile(&inputs_of(model, text).unwrap()).unwrap()
}

/// The decision that shots of a text's circuits give, with the read-out errors undone or not.
fn decided(
    head: &LinearHead,
    circuits: &[Compiled],
    noise: &NoiseModel,
    (shots, seed): (u64, u64),
    undo: bool,
) -> Answer {
    let mut parts = Vec::new();
    for c in circuits {
        let counts = Sampler::new(&c.circuit, noise).unwrap().sample(shots, seed).unwrap();
        let errors = c.bit_errors(|q| Some(noise.qubit(q).readout)).filter(|_| undo);
        parts.push(Part { weight: c.weight, readouts: &c.readouts, counts, errors });
    }
    answer(head, &parts).unwrap()
}

#[test]
fn without_noise_the_shots_decide_as_the_statevector_but_for_ties() {
    let model = Model::parse(MODEL).unwrap();
    let processor = Processor::baihua().unwrap();
    let plan = Plan::new(Source::from_model(&model), &processor, Options::default()).unwrap();
    let head = LinearHead::of(&model).unwrap();
    let mut scratch = Scratch::new();
    let mut clear = 0;
    for (i, text) in TEXTS.iter().enumerate() {
        let circuits = compiled(&model, &plan, text);
        let seed = (4096, 40 + i as u64);
        let answer = decided(&head, &circuits, &NoiseModel::none(), seed, false);
        let prediction = model.classify(text, &mut scratch).unwrap();
        for (k, (ours, theirs)) in
            answer.expectations.values.iter().zip(prediction.expectations()).enumerate()
        {
            let error = answer.expectations.errors[k];
            assert!((ours - f64::from(*theirs)).abs() < 5.0 * error + 1e-4, "{text}, output {k}");
        }
        // A margin of four standard errors is no tie.
        if answer.margin > 4.0 * answer.margin_error {
            clear += 1;
            assert_eq!(answer.class, prediction.class(), "{text}");
        }
    }
    assert!(clear > 0, "every text is a tie: nothing was tested");
}

#[test]
fn noise_shrinks_expectations_and_undone_read_out_errors_bring_some_back() {
    let model = Model::parse(MODEL).unwrap();
    let processor = Processor::baihua().unwrap();
    let plan = Plan::new(Source::from_model(&model), &processor, Options::default()).unwrap();
    let head = LinearHead::of(&model).unwrap();
    let noise = NoiseModel::of(&processor, &Figures::default());
    let mut scratch = Scratch::new();
    let (mut plain, mut undone) = (0.0, 0.0);
    for text in TEXTS {
        let circuits = compiled(&model, &plan, text);
        let raw = decided(&head, &circuits, &noise, (8192, 3), false);
        let better = decided(&head, &circuits, &noise, (8192, 3), true);
        let prediction = model.classify(text, &mut scratch).unwrap();
        for (k, &e) in prediction.expectations().iter().enumerate() {
            plain += (raw.expectations.values[k] - f64::from(e)).abs();
            undone += (better.expectations.values[k] - f64::from(e)).abs();
        }
        // Baihua publishes no read-out errors, so they cannot be undone from its figures.
        assert!(circuits.iter().all(|c| c.bit_errors(|q| processor.bit_error(q)).is_none()));
    }
    assert!(plain > 0.01 * 88.0 && undone < plain, "{plain} {undone}");
}

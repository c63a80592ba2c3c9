//! Pauli rotations and a Pauli measurement made of two-qubit steps, greedily: each step, a controlled Pauli, brings one
//! of the rotations that may come next, or a measured word, closer to one qubit, and of those that do the one is taken that
//! helps what follows most (in the manner of Schmitz et al. 2021 and de Brugiere and Martiel 2024).

use crate::transpile::ir::{Axis, Step};
use crate::transpile::pauli::{Rotations, lightest};
use crate::transpile::rewrite::Branch;
use crate::transpile::word::{Controlled, Frame, Word};
use qdllm_runtime::circuit::affine::Affine;
use std::f64::consts::FRAC_PI_2;

/// Rotations that are looked at together.
const WINDOW: usize = 32;

/// What the n-th rotation counts against the one before.
const LATER: [f64; 3] = [0.5, 0.8, 0.95];

/// The branch again, from its Pauli rotations; with `parities` an output may be a parity of what is
/// measured, else each is one qubit. In how many steps, the caller has to see.
pub fn resynthesised(branch: &Branch, parities: bool) -> Vec<Branch> {
    let Some(form) = Rotations::of(branch) else { return Vec::new() };
    let one = |later: f64| {
        let mut builder = Builder {
            later,
            frame: Frame::default(),
            steps: Vec::new(),
            window: Vec::new(),
            targets: form.measured.clone(),
            read: Vec::new(),
            stabilizers: form.stabilizers.clone(),
        };
        builder.rotations(&form.list);
        let outputs = builder.measurement(parities)?;
        Some(Branch { weight: branch.weight.clone(), steps: builder.steps, outputs })
    };
    LATER.into_iter().filter_map(one).collect()
}

struct Builder {
    later: f64,
    /// What the steps so far have made of each word.
    frame: Frame,
    steps: Vec<Step>,
    window: Vec<(Word, Affine)>,
    /// To be brought to single qubits; and what the outputs are.
    targets: Vec<Word>,
    read: Vec<Word>,
    stabilizers: Vec<Word>,
}

impl Builder {
    fn rotations(&mut self, all: &[(Word, Affine)]) {
        let mut rest = all.iter();
        loop {
            let more = rest.by_ref().take(WINDOW - self.window.len());
            self.window.extend(more.map(|(word, t)| (self.frame.of(*word), t.clone())));
            let front: Vec<usize> = (0..self.window.len()).filter(|&i| self.is_front(i)).collect();
            let weight = |i: &usize| self.window[*i].0.weight();
            let Some(least) = front.iter().map(weight).min() else { return };
            if least <= 1 {
                let done = front.iter().find(|i| weight(i) <= 1);
                let (word, angle) = self.window.remove(done.copied().unwrap_or(0));
                self.rotate(word, angle);
                continue;
            }
            let nearest = front.iter().filter(|i| weight(i) == least).map(|&i| self.window[i].0);
            let gates: Vec<Controlled> = nearest.flat_map(lightening).collect();
            self.apply_best(&gates);
        }
    }

    fn is_front(&self, i: usize) -> bool {
        self.window[..i].iter().all(|r| r.0.commutes(self.window[i].0))
    }

    fn rotate(&mut self, word: Word, angle: Affine) {
        let angle = angle.scaled(if word.negative() { -1.0 } else { 1.0 });
        for q in word.qubits().take(1) {
            turn(&mut self.steps, q, word.axis(q), angle.clone());
        }
    }

    /// Weight that a step adds, the next rotation first.
    fn price(&self, gate: Controlled) -> f64 {
        let added = |word: Word| f64::from(gate.of(word).weight()) - f64::from(word.weight());
        let (mut sum, mut share) = (0.0, 1.0);
        for word in self.window.iter().map(|r| r.0).chain(self.targets.iter().copied()) {
            sum += share * added(word);
            share *= self.later;
        }
        sum
    }

    fn apply_best(&mut self, gates: &[Controlled]) {
        let price = |gate: &&Controlled| self.price(**gate);
        let best = gates.iter().min_by(|a, b| price(a).total_cmp(&price(b))).copied();
        let Some(gate) = best else { return };
        gate_steps(&mut self.steps, gate);
        self.follow(|word| gate.of(word));
    }

    /// What a step makes of all words.
    fn follow(&mut self, of: impl Fn(Word) -> Word) {
        self.frame.map(&of);
        let words = self.window.iter_mut().map(|r| &mut r.0).chain(&mut self.targets);
        let words = words.chain(&mut self.read).chain(&mut self.stabilizers);
        words.for_each(|word| *word = of(*word));
    }

    /// Steps that bring what is measured to single qubits; the outputs there.
    fn measurement(&mut self, parities: bool) -> Option<Vec<(u16, bool)>> {
        let basis = if parities { self.basis() } else { self.distinct()? };
        self.read = std::mem::replace(&mut self.targets, basis);
        while let Some(word) =
            self.targets.iter().filter(|w| w.weight() > 1).min_by_key(|w| w.weight())
        {
            let single: Vec<Word> =
                self.targets.iter().filter(|w| w.weight() == 1).copied().collect();
            let keeps = |gate: &Controlled| single.iter().all(|&w| gate.of(w).weight() == 1);
            let gates: Vec<Controlled> = lightening(*word).filter(keeps).collect();
            (!gates.is_empty()).then(|| self.apply_best(&gates))?;
        }
        for i in 0..self.targets.len() {
            let q = self.targets[i].qubits().next()?;
            if let Some((about, k)) = to_axis(q, self.targets[i].axis(q), Axis::Z) {
                turn(&mut self.steps, q, about, quarter_turns(k));
                self.follow(|word| word.turned(Word::on(q, about), k));
            }
            if self.targets[i].negative() {
                self.steps.push(Step::X(q));
                self.follow(|word| word.turned(Word::on(q, Axis::X), 2));
            }
        }
        if !parities {
            return Some(self.targets.iter().map(|word| (word.z, false)).collect());
        }
        let mut span = Span::of(&self.stabilizers);
        self.targets.iter().for_each(|&word| span.add(word, word.z));
        let output = |word: &Word| {
            let (left, mask) = span.reduced(*word);
            (left.weight() == 0).then(|| (mask, left.negative()))
        };
        self.read.iter().map(output).collect()
    }

    /// Words whose products, with stabilizers, are all that is measured.
    fn basis(&self) -> Vec<Word> {
        let mut span = Span::of(&self.stabilizers);
        let mut basis: Vec<Word> = Vec::new();
        for &word in &self.targets {
            if span.reduced(word).0.weight() > 0 {
                let group: Vec<Word> = self.stabilizers.iter().chain(&basis).copied().collect();
                let word = lightest(word, &group, |_| true);
                span.add(word, 0);
                basis.push(word);
            }
        }
        basis
    }

    /// What is measured, each times a stabilizer, so that no one is a product of others; `None` where that cannot be.
    fn distinct(&self) -> Option<Vec<Word>> {
        let mut words = self.targets.clone();
        for i in 0..words.len() {
            let mut others = Span::of(&[]);
            words.iter().enumerate().filter(|w| w.0 != i).for_each(|(_, &w)| others.add(w, 0));
            let new = |w: Word| others.reduced(w).0.weight() > 0;
            if !new(words[i]) {
                return None;
            }
            words[i] = lightest(words[i], &self.stabilizers, new);
        }
        Some(words)
    }
}

/// Commuting words in reduced form; each with a mask that products of them add up.
struct Span(Vec<(Word, u16)>);

impl Span {
    fn of(words: &[Word]) -> Self {
        let mut span = Self(Vec::new());
        words.iter().for_each(|&word| span.add(word, 0));
        span
    }

    fn add(&mut self, word: Word, mask: u16) {
        let (left, of) = self.reduced(word);
        if left.weight() > 0 {
            self.0.push((left, mask ^ of));
        }
    }

    /// The word times words of the span, the identity if it is a product of them; and the sum of their masks.
    fn reduced(&self, word: Word) -> (Word, u16) {
        let bits = |w: Word| u32::from(w.x) << 16 | u32::from(w.z);
        self.0.iter().fold((word, 0), |(word, mask), &(row, of)| {
            let has = bits(word) >> bits(row).trailing_zeros() & 1 == 1;
            if has { (word.times(row), mask ^ of) } else { (word, mask) }
        })
    }
}

const AXES: [Axis; 3] = [Axis::X, Axis::Y, Axis::Z];

/// The steps that take one of a word's qubits from it.
fn lightening(word: Word) -> impl Iterator<Item = Controlled> {
    let pairs = word.qubits().flat_map(move |a| word.qubits().map(move |b| (a, b)));
    let gates = move |(a, b): (u8, u8)| {
        let others = AXES.into_iter().filter(move |&axis| axis != word.axis(a));
        let second = Word::on(b, word.axis(b));
        others.map(move |axis| Controlled { first: Word::on(a, axis), second })
    };
    pairs.filter(|(a, b)| a != b).flat_map(gates)
}

fn quarter_turns(quarters: u8) -> Affine {
    Affine::constant(f64::from(quarters) * FRAC_PI_2)
}

/// A rotation about an axis.
fn turn(steps: &mut Vec<Step>, q: u8, axis: Axis, angle: Affine) {
    match axis {
        Axis::X => {
            steps.push(Step::Rz(q, quarter_turns(1)));
            steps.push(Step::Ry(q, angle));
            steps.push(Step::Rz(q, quarter_turns(3)));
        }
        Axis::Y => steps.push(Step::Ry(q, angle)),
        Axis::Z | Axis::Other => steps.push(Step::Rz(q, angle)),
    }
}

/// The axis and the quarters of a turn that takes one axis to another.
fn to_axis(q: u8, from: Axis, to: Axis) -> Option<(Axis, u8)> {
    let about = AXES.into_iter().find(|&axis| axis != from && axis != to).filter(|_| from != to)?;
    let [word, by, goal] = [from, about, to].map(|axis| Word::on(q, axis));
    [1, 3].into_iter().find(|&k| word.turned(by, k) == goal).map(|k| (about, k))
}

/// As CX where one of its words is Z and the other X, or Z and Z, else between turns that make it so.
fn gate_steps(steps: &mut Vec<Step>, Controlled { first, second }: Controlled) {
    let [a, b] = [first, second].map(|w| w.qubits().next().unwrap_or_default());
    let (p, q) = (first.axis(a), second.axis(b));
    let (to_p, to_q) = match (p, q) {
        (Axis::X, Axis::Z | Axis::Y) => (Axis::X, Axis::Z),
        (_, Axis::Z) => (Axis::Z, Axis::Z),
        _ => (Axis::Z, Axis::X),
    };
    let turns = [(a, to_axis(a, p, to_p)), (b, to_axis(b, q, to_q))];
    for (qubit, turned) in turns {
        turned.into_iter().for_each(|(about, k)| turn(steps, qubit, about, quarter_turns(k)));
    }
    match (to_p, to_q) {
        (Axis::X, _) => steps.push(Step::Cx(b, a)),
        (_, Axis::X) => steps.push(Step::Cx(a, b)),
        _ => {
            steps.push(Step::Zz(a, b, quarter_turns(3)));
            [a, b].into_iter().for_each(|q| steps.push(Step::Rz(q, quarter_turns(1))));
        }
    }
    for (qubit, turned) in turns {
        turned.into_iter().for_each(|(about, k)| turn(steps, qubit, about, quarter_turns(4 - k)));
    }
}

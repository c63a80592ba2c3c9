//! A circuit as rotations about Pauli words, then a measurement of Pauli words: Clifford steps only change
//! the words of what follows. There rotations about one word meet across all that commute with them,
//! and three kinds of them go: those that act on |0..0> as a phase, those that no measured word sees, and
//! those that differ from another by a stabilizer of the state (they join it).

use crate::transpile::ir::{Axis, Step};
use crate::transpile::rewrite::Branch;
use crate::transpile::word::{Frame, Word};
use qdllm_runtime::circuit::affine::Affine;
use std::f64::consts::FRAC_PI_2;

pub struct Rotations {
    /// `exp(-i angle/2 word)`, the first acts first; no word is negative.
    pub list: Vec<(Word, Affine)>,
    pub measured: Vec<Word>,
    /// Words that generate what leaves the state as it is at any time, and commute with all others.
    pub stabilizers: Vec<Word>,
}

impl Rotations {
    /// `None` where a fence stands.
    pub fn of(branch: &Branch) -> Option<Self> {
        let mut form = Collector { frame: Frame::default(), list: Vec::new() };
        for step in &branch.steps {
            let z = |q| Word::on(q, Axis::Z);
            match step {
                Step::Rz(q, t) => form.rotate(z(*q), t.clone()),
                Step::Ry(q, t) => form.rotate(Word::on(*q, Axis::Y), t.clone()),
                Step::Zz(a, b, t) | Step::ZzProduct(a, b, t) => {
                    form.rotate(z(*a).times(z(*b)), t.clone());
                }
                Step::X(q) => form.frame.flip(*q),
                Step::Cx(c, t) => form.frame.cx(*c, *t),
                Step::Swap(a, b) => form.frame.exchange(*a, *b),
                Step::Fence(_) => return None,
            }
        }
        let words = branch.outputs.iter().map(|&(mask, negated)| {
            let word = form.frame.of(Word::z(mask));
            if negated { word.negated() } else { word }
        });
        let measured = words.collect();
        let mut all = Self { list: form.list, measured, stabilizers: Vec::new() };
        all.shorten();
        Some(all)
    }

    fn shorten(&mut self) {
        loop {
            let before = self.list.len();
            self.trim();
            self.stabilizers = self.group();
            let mut again = Collector { frame: Frame::default(), list: Vec::new() };
            for (word, angle) in self.list.drain(..) {
                again.rotate(lightest(word, &self.stabilizers, |_| true), angle);
            }
            self.list = again.list;
            self.measured.iter_mut().for_each(|word| *word = again.frame.of(*word));
            if self.list.len() == before {
                self.stabilizers = self.group();
                return;
            }
        }
    }

    fn group(&self) -> Vec<Word> {
        let words = || self.list.iter().map(|r| r.0).chain(self.measured.iter().copied());
        let used = words().fold(0, |all, word| all | word.x | word.z);
        let all = kernel(words().map(|word| word.x)).into_iter();
        all.filter(|mask| mask & used != 0).map(Word::z).collect()
    }

    /// Takes away what commutes with all that follows and with all that is measured.
    fn trim(&mut self) {
        let mut kept = self.measured.clone();
        self.list.reverse();
        self.list.retain(|(word, _)| {
            let seen = kept.iter().rev().any(|later| !later.commutes(*word));
            kept.extend(seen.then_some(*word));
            seen
        });
        self.list.reverse();
    }
}

struct Collector {
    /// The words at the beginning of what X and Z are at the end.
    frame: Frame,
    list: Vec<(Word, Affine)>,
}

impl Collector {
    fn rotate(&mut self, word: Word, mut angle: Affine) {
        let mut word = self.frame.of(word);
        if word.negative() {
            (word, angle) = (word.negated(), angle.scaled(-1.0));
        }
        let met = self.list.iter().rposition(|r| r.0 == word || !r.0.commutes(word));
        match met {
            Some(at) if self.list[at].0 == word => {
                angle.add(self.list.remove(at).1);
            }
            Some(_) => {}
            // It can act first.
            None if word.x == 0 => return,
            None => self.join_front(word, &mut angle),
        }
        if angle.is_multiple_of(FRAC_PI_2) {
            let quarters = (angle.constant / FRAC_PI_2).round().rem_euclid(4.0) as u8;
            // All that stands after it commutes with it.
            self.frame.map(|w| w.turned(word, 4 - quarters));
        } else {
            self.list.push((word, angle));
        }
    }

    /// Of the rotations that can act first, `word`'s and one that differs from it by a Z word are one:
    /// on |0..0> a Z word is a sign.
    fn join_front(&mut self, word: Word, angle: &mut Affine) {
        let first = |&i: &usize| {
            let own = self.list[i].0;
            own.x == word.x && self.list[..i].iter().all(|r| r.0.commutes(own))
        };
        if let Some(i) = (0..self.list.len()).find(first) {
            let (own, t) = self.list.remove(i);
            let sign = if own.times(word).negative() { -1.0 } else { 1.0 };
            angle.add(t.scaled(sign));
        }
    }
}

/// Masks that generate all that have an even number of ones in common with each row.
fn kernel(rows: impl Iterator<Item = u16>) -> Vec<u16> {
    // Row by row in reduced form, each with its pivot.
    let mut reduced: Vec<(u32, u16)> = Vec::new();
    for row in rows {
        let row =
            reduced.iter().fold(row, |r, &(p, other)| if r >> p & 1 == 1 { r ^ other } else { r });
        if row != 0 {
            let pivot = row.trailing_zeros();
            for (_, other) in &mut reduced {
                *other ^= if *other >> pivot & 1 == 1 { row } else { 0 };
            }
            reduced.push((pivot, row));
        }
    }
    let free = (0..16).filter(|q| reduced.iter().all(|r| r.0 != *q));
    let with = |q: u32| reduced.iter().fold(1 << q, |m, (p, row)| m | (row >> q & 1) << p);
    free.map(with).collect()
}

/// Of the word times each product of generators, the first by number of qubits that `allowed` takes.
pub fn lightest(word: Word, generators: &[Word], allowed: impl Fn(Word) -> bool) -> Word {
    let key = |w: Word| (w.weight(), w.x, w.z);
    let (mut best, mut now) = (word, word);
    // In Gray order each product differs from the one before by one generator.
    for i in 1..1_u32 << generators.len().min(MOST_GENERATORS) {
        now = now.times(generators[i.trailing_zeros() as usize]);
        if key(now) < key(best) && allowed(now) {
            best = now;
        }
    }
    best
}

/// All products of them are tried.
const MOST_GENERATORS: usize = 12;

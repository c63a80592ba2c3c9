//! The hot loops on a statevector: rotation, diagonal, index map, Walsh transform, expectations.

use crate::circuit::QUBITS;
use crate::circuit::index_map::{IndexMap, parity};
use crate::circuit::program::{MAX_OUTPUTS, MAX_TERMS};
use crate::math::{Scalar, Value};
use crate::state::f32::{DIM, StateVector};
use core::ops::{Add, Sub};
use heapless::Vec;

/// Low index bits for which a diagonal is tabulated: 64 entries, on the stack.
const LOW: usize = 6;

/// Indices whose probabilities are transformed at a time.
const CHUNK: usize = 16;
/// Z words that are read in one pass: those of a program, and the norm.
const WORDS: usize = MAX_OUTPUTS + 1;

/// The diagonal `exp(-i/2 sum_k angle_k (-1)^parity(mask_k & x))` in a form made for fast use: (mask,
/// (cos, sin) of half the angle, (cos, sin) of the angle).
#[derive(Clone, Debug)]
pub struct Diagonal<S>(Vec<(u16, [S; 2], [S; 2]), MAX_TERMS>);

pub(crate) fn first<T, const N: usize>(items: impl Iterator<Item = T>) -> Vec<T, N> {
    let mut all = Vec::new();
    items.take(N).for_each(|item| drop(all.push(item)));
    all
}

impl<S: Scalar> Diagonal<S> {
    /// Prepares a diagonal; terms beyond [`MAX_TERMS`] are ignored (the format allows none).
    ///
    /// `sign` -1 gives the inverse.
    pub fn new(terms: impl Iterator<Item = (u16, S)>, sign: S) -> Self {
        Self(first(terms.map(|(mask, angle)| {
            let (sin, cos) = (angle * sign * S::HALF).sin_cos();
            (mask, [cos, sin], [cos * cos - sin * sin, (cos + cos) * sin])
        })))
    }

    /// The factors for the 64 indices that share the bits `high`.
    pub(crate) fn block(&self, high: u16) -> [[S; 2]; 1 << LOW] {
        let mut table = [[S::ONE, S::ZERO]; 1 << LOW];
        for (mask, [cos, sin], _) in &self.0 {
            table[0] = turn(table[0], *cos, with_sign(*sin, !parity(mask & high)));
        }
        for bit in 0..LOW {
            let (known, new) = table.split_at_mut(1 << bit);
            new[..1 << bit].copy_from_slice(known);
            for (mask, _, [cos, sin]) in self.0.iter().filter(|(mask, ..)| mask >> bit & 1 == 1) {
                for (x, to) in new.iter_mut().take(1 << bit).enumerate() {
                    // Setting `bit` turns exp(-i a/2) into exp(+i a/2) or back: a whole angle.
                    *to = turn(*to, *cos, with_sign(*sin, parity(mask & (high | x as u16))));
                }
            }
        }
        table
    }
}

fn with_sign<S: Scalar>(x: S, negative: bool) -> S {
    if negative { -x } else { x }
}

fn turn<S: Scalar>([re, im]: [S; 2], cos: S, sin: S) -> [S; 2] {
    [re * cos - im * sin, re * sin + im * cos]
}

impl<V: Value> StateVector<V> {
    /// Applies `RY` of half-angle (`cos`, `sin`) to `qubit`.
    pub fn ry(&mut self, qubit: usize, cos: V::Scalar, sin: V::Scalar) {
        let (re, im) = self.planes_mut();
        let qubit = qubit.min(QUBITS - 1);
        for plane in [re, im] {
            for pair in plane.chunks_exact_mut(2 << qubit) {
                let (zero, one) = pair.split_at_mut(1 << qubit);
                for (a, b) in zero.iter_mut().zip(one) {
                    (*a, *b) = (*a * cos - *b * sin, *a * sin + *b * cos);
                }
            }
        }
    }

    /// Applies a diagonal.
    pub fn diagonal(&mut self, diagonal: &Diagonal<V::Scalar>) {
        let (re, im) = self.planes_mut();
        let blocks = re.chunks_mut(1 << LOW).zip(im.chunks_mut(1 << LOW));
        for (high, (re, im)) in blocks.enumerate() {
            let factors = diagonal.block((high << LOW) as u16);
            for ((re, im), [cos, sin]) in re.iter_mut().zip(im).zip(factors) {
                (*re, *im) = (*re * cos - *im * sin, *re * sin + *im * cos);
            }
        }
    }

    /// Moves amplitude `x` to index `map(x)`; the map must be invertible on the state's indices.
    pub fn map_indices(&mut self, map: &IndexMap) {
        let (re, im) = self.planes_mut();
        map_indices(map, re, im);
    }

    /// Turns the state into its probabilities (in the real plane), then into the expectations of
    /// all Z words: `expectation(mask)` reads them. The state is used up.
    pub fn measure(&mut self) {
        let (re, im) = self.planes_mut();
        for (r, i) in re.iter_mut().zip(im) {
            *r = *r * *r + *i * *i;
        }
        walsh(re);
    }

    /// After [`measure`](Self::measure): the expectation of the product of Z over the bits of `mask`.
    pub fn expectation(&self, mask: u16) -> V {
        self.re[mask as usize & (DIM - 1)]
    }

    /// Writes the expectation of each Z word (mask of qubits, negated) times `scale`; at most
    /// [`MAX_OUTPUTS`] words.
    pub fn expectations(
        &self,
        words: impl Iterator<Item = (u16, bool)>,
        scale: V::Scalar,
        out: &mut [V],
    ) {
        let sums = word_sums(self.planes(), words, V::ZERO, |re, im| re * re + im * im);
        for (out, &(_, negated, sum)) in out.iter_mut().zip(&sums) {
            *out = if negated { -sum } else { sum } * scale;
        }
    }
}

/// The sum of each Z word (mask of qubits, negated) over the probabilities that `square` gives; to
/// negate it is left to the caller.
///
/// A word's sum over 16 neighbouring indices is one entry of their probabilities' Walsh transform,
/// with the sign that the word has on the indices' common bits.
pub(crate) fn word_sums<T: Copy, V>(
    (re, im): (&[T], &[T]),
    words: impl Iterator<Item = (u16, bool)>,
    zero: V,
    square: impl Fn(T, T) -> V,
) -> Vec<(u16, bool, V), WORDS>
where
    V: Copy + Add<Output = V> + Sub<Output = V>,
{
    let mut sums: Vec<_, WORDS> = first(words.map(|(mask, negated)| (mask, negated, zero)));
    // A state of fewer than 4 qubits ends within the first chunk.
    for (i, (re, im)) in re.chunks(CHUNK).zip(im.chunks(CHUNK)).enumerate() {
        let mut p = [zero; CHUNK];
        for (p, (&re, &im)) in p.iter_mut().zip(re.iter().zip(im)) {
            *p = square(re, im);
        }
        walsh16(&mut p);
        for (mask, _, sum) in &mut sums {
            let part = p[*mask as usize % CHUNK];
            let odd = parity(*mask & (i * CHUNK) as u16);
            *sum = if odd { *sum - part } else { *sum + part };
        }
    }
    // Not its own iterator, whose drop can panic.
    sums
}

fn walsh16<V: Copy + Add<Output = V> + Sub<Output = V>>(p: &mut [V; CHUNK]) {
    for r in 0..4 {
        for k in 0..CHUNK {
            if k >> r & 1 == 0 {
                // The mask changes nothing; optimised for size, too, it rules a panic out.
                let one = (k | 1 << r) % CHUNK;
                (p[k], p[one]) = (p[k] + p[one], p[k] - p[one]);
            }
        }
    }
}

/// Walsh-Hadamard transform in place: `out[m] = sum_x (-1)^parity(m & x) in[x]`.
///
/// `values.len()` is a power of two.
pub fn walsh<V: Value>(values: &mut [V]) {
    let mut half = 1;
    while half < values.len() {
        for pair in values.chunks_exact_mut(2 * half) {
            let (zero, one) = pair.split_at_mut(half);
            for (a, b) in zero.iter_mut().zip(one) {
                (*a, *b) = (*a + *b, *a - *b);
            }
        }
        half *= 2;
    }
}

/// Index bits of the lower of two tables.
const SPLIT: usize = 6;

/// Moves entry `x` of both planes (of equal, power-of-two length) to index `map(x)`; the map must be
/// invertible on their indices. Writes 480 bytes beside the planes.
pub(crate) fn map_indices<T: Copy>(map: &IndexMap, re: &mut [T], im: &mut [T]) {
    let mut low = [0_u16; 1 << SPLIT];
    let mut high = [0_u16; DIM >> SPLIT];
    for (x, y) in low.iter_mut().enumerate() {
        *y = map.apply(x as u16);
    }
    for (x, y) in high.iter_mut().enumerate() {
        *y = map.without_offset((x << SPLIT) as u16);
    }
    let image = |x: usize| {
        let y = low[x & ((1 << SPLIT) - 1)] ^ high[(x >> SPLIT) & ((DIM >> SPLIT) - 1)];
        y as usize & (DIM - 1)
    };
    let dim = re.len();
    let mut done = [0_u32; DIM / 32];
    for first in 0..dim {
        let mut x = first;
        let (Some(&r), Some(&i)) = (re.get(first), im.get(first)) else {
            return;
        };
        let mut held = (r, i);
        // Each cycle is walked once: a set bit means that the index already has its amplitude.
        // The mask changes nothing; with it no bounds check, and so no panic, is compiled.
        let word = |x: usize| (x & (DIM - 1)) / 32;
        while done[word(x)] >> (x % 32) & 1 == 0 {
            done[word(x)] |= 1 << (x % 32);
            let y = image(x);
            let (Some(r), Some(i)) = (re.get_mut(y), im.get_mut(y)) else {
                return;
            };
            held = (core::mem::replace(r, held.0), core::mem::replace(i, held.1));
            x = y;
        }
    }
}

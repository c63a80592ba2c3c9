//! The statevector in 16-bit integers (Q1.14, rounded to nearest): 8 KiB, and no floating-point
//! instruction from the encoder's phases to the expectations.
//!
//! Sines come from `sin_cos_q15` (error under 6e-5), products are rounded once a rotation. On the
//! `paper` circuit an expectation is within 2e-3 of the exact one.

use crate::circuit::QUBITS;
use crate::circuit::index_map::parity;
use crate::circuit::program::{MAX_TERMS, Op, Program};
use crate::integer::mul_q30;
use crate::integer::{half_phase, inverse, sin_cos_q15};
use crate::state::f32::DIM;
use crate::state::kernels::{first, map_indices, word_sums};
use heapless::Vec;

/// Qubits of the low side of the product state, and low index bits of a diagonal's table.
const LOW: usize = 6;
const SIDE: usize = 1 << LOW;

/// A state of up to 11 qubits in Q1.14; a smaller circuit uses the front of both planes.
#[derive(Clone, Debug)]
pub struct StateI16 {
    re: [i16; DIM],
    im: [i16; DIM],
    qubits: u8,
}

impl Default for StateI16 {
    fn default() -> Self {
        Self::new()
    }
}

impl StateI16 {
    /// Room for a state; every amplitude is zero until [`start`](Self::start).
    pub const fn new() -> Self {
        Self { re: [0; DIM], im: [0; DIM], qubits: 0 }
    }

    /// The amplitudes as (real, imaginary) planes of `2^qubits` values in Q1.14.
    pub fn planes(&self) -> (&[i16], &[i16]) {
        let dim = self.dim();
        (&self.re[..dim], &self.im[..dim])
    }

    fn dim(&self) -> usize {
        1 << self.qubits.min(QUBITS as u8)
    }

    fn planes_mut(&mut self) -> (&mut [i16], &mut [i16]) {
        let dim = self.dim();
        (&mut self.re[..dim], &mut self.im[..dim])
    }

    /// Sets the encoder's product state, up to its global sign: RX of phase `q` on qubit `q` of
    /// |0...0>. The number of qubits becomes `phases.len()`, 11 at most.
    pub fn start(&mut self, phases: &[u32]) {
        let qubits = phases.len().min(QUBITS);
        self.qubits = qubits as u8;
        let cut = qubits.min(LOW);
        let (below, above) = phases.split_at_checked(cut).unwrap_or((phases, &[]));
        let (low, high) = (products(below), products(above));
        let (re, im) = self.planes_mut();
        let blocks = re.chunks_mut(SIDE).zip(im.chunks_mut(SIDE));
        for (h, ((re, im), &factor)) in blocks.zip(&high).enumerate() {
            let both = re.iter_mut().zip(im).zip(&low).enumerate();
            for (x, ((re, im), &part)) in both {
                // |x> has the amplitude (-i)^popcount(x) times a real product.
                let real = q15(i32::from(part) * i32::from(factor), 16);
                (*re, *im) = match (h.count_ones() + x.count_ones()) % 4 {
                    0 => (real, 0),
                    1 => (0, -real),
                    2 => (-real, 0),
                    _ => (0, real),
                };
            }
        }
    }

    /// Applies RY of half an angle, as a phase, to `qubit`.
    pub fn ry(&mut self, qubit: usize, half_phase: u32) {
        let (sin, cos) = sin_cos_q15(half_phase);
        let qubit = qubit.min(QUBITS - 1);
        let (re, im) = self.planes_mut();
        for plane in [re, im] {
            for pair in plane.chunks_exact_mut(2 << qubit) {
                let (zero, one) = pair.split_at_mut(1 << qubit);
                for (a, b) in zero.iter_mut().zip(one) {
                    let (x, y) = (i32::from(*a), i32::from(*b));
                    (*a, *b) = (q15(x * cos - y * sin, 15), q15(x * sin + y * cos, 15));
                }
            }
        }
    }

    /// Applies `exp(-i/2 sum_k angle_k (-1)^parity(mask_k & x))`; terms are (mask, angle in radians),
    /// at most [`MAX_TERMS`].
    pub fn diagonal(&mut self, terms: impl Iterator<Item = (u16, f32)>) {
        let halves: Vec<_, MAX_TERMS> = first(terms.map(|(mask, angle)| (mask, half_phase(angle))));
        let (re, im) = self.planes_mut();
        let blocks = re.chunks_mut(SIDE).zip(im.chunks_mut(SIDE));
        for (high, (re, im)) in blocks.enumerate() {
            let turns = block(&halves, (high << LOW) as u16);
            for ((re, im), turn) in re.iter_mut().zip(im).zip(turns) {
                let (sin, cos) = sin_cos_q15(turn);
                let (x, y) = (i32::from(*re), i32::from(*im));
                (*re, *im) = (q15(x * cos + y * sin, 15), q15(y * cos - x * sin, 15));
            }
        }
    }

    /// Writes the expectation of each Z word (mask of qubits, negated) in Q30, of the state divided
    /// by its norm; at most `MAX_OUTPUTS` words.
    pub fn expectations(&self, words: impl Iterator<Item = (u16, bool)>, out_q30: &mut [i32]) {
        let square = |re, im| i32::from(re) * i32::from(re) + i32::from(im) * i32::from(im);
        let words = core::iter::once((0, false)).chain(words);
        let sums = word_sums(self.planes(), words, 0_i32, square);
        let Some((&(.., norm), sums)) = sums.split_first() else { return };
        // The norm is 2^28 to within rounding; shifted to a number from 1 to 2 in Q30.
        let norm = norm.clamp(1 << 27, (1 << 29) - 1) as u32;
        let shift = norm.leading_zeros() - 1;
        let factor = inverse(norm << shift);
        for (out, &(_, negated, sum)) in out_q30.iter_mut().zip(sums) {
            let share = mul_q30(sum << shift, factor);
            *out = if negated { -share } else { share };
        }
    }
}

impl Program<'_> {
    /// Runs the circuit in 16-bit integers on encoder phases (2^32 one turn, one a qubit) and writes
    /// one expectation an output, in Q30. The state is used up.
    pub fn run_i16(&self, state: &mut StateI16, phases: &[u32], out_q30: &mut [i32]) {
        state.start(phases.get(..self.qubits()).unwrap_or(phases));
        for op in self.ops() {
            match op {
                Op::Phases(terms) => state.diagonal(terms),
                Op::Ry(qubit, angle) => state.ry(qubit as usize, half_phase(angle)),
                Op::IndexMap(map) => {
                    let (re, im) = state.planes_mut();
                    map_indices(&map, re, im);
                }
            }
        }
        state.expectations(self.words(), out_q30);
    }
}

/// `x / 2^bits` rounded to nearest. Amplitudes stay under 2 in Q1.14, so nothing wraps.
#[inline]
fn q15(x: i32, bits: u32) -> i16 {
    ((x + (1 << (bits - 1))) >> bits) as i16
}

/// The products of cosines and sines of half the phases, by index, in Q15 (1 is 32767).
fn products(phases: &[u32]) -> [i16; SIDE] {
    let mut products = [0_i16; SIDE];
    products[0] = i16::MAX;
    for (q, &phase) in phases.iter().enumerate().take(LOW) {
        let (sin, cos) = sin_cos_q15(phase >> 1);
        let (low, high) = products.split_at_mut(1 << q);
        for (a, b) in low.iter_mut().zip(high) {
            let x = i32::from(*a);
            (*a, *b) = (q15(x * cos, 15), q15(x * sin, 15));
        }
    }
    products
}

/// The phases of the factors of the 64 indices that share the bits `high`.
fn block(halves: &[(u16, u32)], high: u16) -> [u32; SIDE] {
    let mut turns = [0_u32; SIDE];
    for &(mask, half) in halves {
        let own = if parity(mask & high) { half.wrapping_neg() } else { half };
        turns[0] = turns[0].wrapping_add(own);
    }
    for bit in 0..LOW {
        let (known, new) = turns.split_at_mut(1 << bit);
        for (new, known) in new.iter_mut().zip(known) {
            *new = *known;
        }
        for &(mask, half) in halves.iter().filter(|(mask, _)| mask >> bit & 1 == 1) {
            for (x, turn) in turns.iter_mut().skip(1 << bit).take(1 << bit).enumerate() {
                // Setting `bit` turns a half angle into its opposite, or back: a whole angle.
                let whole = half << 1;
                let odd = parity(mask & (high | x as u16));
                *turn = turn.wrapping_add(if odd { whole } else { whole.wrapping_neg() });
            }
        }
    }
    turns
}

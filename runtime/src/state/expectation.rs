//! Expectations of Z words from a state, in one pass.

use crate::circuit::index_map::parity;
use crate::circuit::program::MAX_OUTPUTS;
use crate::math::Value;
use crate::state::f32::StateVector;
use core::ops::{Add, Sub};

/// Indices that are transformed at a time.
pub(crate) const CHUNK: usize = 16;

impl<V: Value> StateVector<V> {
    /// Adds the expectation of each Z word (mask of qubits, negated) of `words` to `sums`, each times
    /// `scale`; at most [`MAX_OUTPUTS`] words.
    ///
    /// A word's sum over 16 neighbouring indices is one entry of their probabilities' Walsh transform,
    /// with the sign that the word has on the indices' common bits.
    pub fn expectations(
        &self,
        words: impl Iterator<Item = (u16, bool)>,
        scale: V::Scalar,
        out: &mut [V],
    ) {
        let mut all = [(0_u16, false); MAX_OUTPUTS];
        let mut sums = [V::ZERO; MAX_OUTPUTS];
        let mut count = 0;
        for (slot, word) in all.iter_mut().zip(words) {
            *slot = word;
            count += 1;
        }
        let (re, im) = self.planes();
        // A state of fewer than 4 qubits ends within the first chunk.
        for (i, (re, im)) in re.chunks(CHUNK).zip(im.chunks(CHUNK)).enumerate() {
            let mut p = [V::ZERO; CHUNK];
            for (p, (&re, &im)) in p.iter_mut().zip(re.iter().zip(im)) {
                *p = re * re + im * im;
            }
            walsh16(&mut p);
            for (sum, &(mask, _)) in sums.iter_mut().zip(&all).take(count) {
                let part = p[mask as usize % CHUNK];
                let odd = parity(mask & (i * CHUNK) as u16);
                *sum = if odd { *sum - part } else { *sum + part };
            }
        }
        for ((out, sum), (_, negated)) in out.iter_mut().zip(sums).zip(all).take(count) {
            *out = if negated { -sum } else { sum } * scale;
        }
    }
}

/// Walsh-Hadamard transform of 16 numbers.
pub(crate) fn walsh16<V>(p: &mut [V; CHUNK])
where
    V: Copy + Add<Output = V> + Sub<Output = V>,
{
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

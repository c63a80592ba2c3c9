//! RY rotations of many qubits, three at a time while the amplitudes are in registers.
//!
//! In tangent form - `a' = a - t b`, `b' = b + t a` - a rotation takes two multiply-adds a pair
//! instead of four products; what it leaves out is one factor, the cosine, for the whole state.

use crate::circuit::QUBITS;
use crate::math::{Scalar, Value};
use crate::state::f32::StateVector;

/// A tangent above this is not used: ten such rotations would leave numbers near the end of `f32`.
const STEEPEST: f32 = 16.0;

/// Rotations of different qubits that are to be applied together.
#[derive(Clone, Copy, Debug)]
pub struct Rotations<S> {
    /// Tangent of half the angle; 0 for a qubit that is not turned.
    tangents: [S; QUBITS],
    turned: u16,
    /// The product of the cosines: what the state must be multiplied by afterwards.
    scale: S,
}

impl<S: Scalar> Rotations<S> {
    /// No rotation.
    pub const NONE: Self = Self { tangents: [S::ZERO; QUBITS], turned: 0, scale: S::ONE };

    /// Adds RY of half-angle (`cos`, `sin`) on `qubit`; `false` if it must be applied alone, because
    /// its tangent is too steep or the qubit is turned already.
    pub fn add(&mut self, qubit: usize, cos: S, sin: S) -> bool {
        let Some(tangent) = self.tangents.get_mut(qubit) else {
            return false;
        };
        let steepest = S::from_f32(STEEPEST);
        let steep = sin * sin > steepest * steepest * cos * cos;
        if steep || self.turned >> qubit & 1 == 1 {
            return false;
        }
        *tangent = sin / cos;
        self.turned |= 1 << qubit;
        self.scale = self.scale * cos;
        true
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.turned == 0
    }

    /// What the state must be multiplied by after [`apply`](Self::apply).
    pub fn scale(&self) -> S {
        self.scale
    }

    /// The rotations of qubits `from..`, numbered from 0; the scale stays with `self`.
    #[must_use]
    pub fn above(&self, from: usize) -> Self {
        let mut above = Self { turned: self.turned >> from, ..Self::NONE };
        for (t, &own) in above.tangents.iter_mut().zip(self.tangents.iter().skip(from)) {
            *t = own;
        }
        above
    }

    /// Rotations one plane of `2^n` amplitudes, leaving the scale out; qubits from `n` on are ignored.
    pub fn apply<V: Value<Scalar = S>>(&self, plane: &mut [V]) {
        self.three::<V, 0, 8>(plane);
        self.three::<V, 3, 64>(plane);
        self.three::<V, 6, 512>(plane);
        self.one(plane, 9);
        self.one(plane, 10);
    }

    /// Qubits `FIRST..FIRST + 3`; `LEN = 8 << FIRST`.
    fn three<V: Value<Scalar = S>, const FIRST: usize, const LEN: usize>(&self, plane: &mut [V]) {
        let turned = self.turned >> FIRST & 7;
        if turned.count_ones() < 2 || plane.len() < LEN {
            (FIRST..FIRST + 3).for_each(|q| self.one(plane, q));
            return;
        }
        let tangents = [self.tangents[FIRST], self.tangents[FIRST + 1], self.tangents[FIRST + 2]];
        for chunk in plane.as_chunks_mut::<LEN>().0 {
            for i in 0..LEN / 8 {
                let at = |k: usize| (i + k * (LEN / 8)) & (LEN - 1);
                let mut v = [V::ZERO; 8];
                for (k, v) in v.iter_mut().enumerate() {
                    *v = chunk[at(k)];
                }
                for (r, &t) in tangents.iter().enumerate() {
                    for k in 0..8 {
                        if k >> r & 1 == 0 {
                            // The mask changes nothing; optimised for size, too, it rules a panic out.
                            let one = (k | 1 << r) & 7;
                            (v[k], v[one]) = (v[k] - v[one] * t, v[one] + v[k] * t);
                        }
                    }
                }
                for (k, v) in v.into_iter().enumerate() {
                    chunk[at(k)] = v;
                }
            }
        }
    }

    fn one<V: Value<Scalar = S>>(&self, plane: &mut [V], qubit: usize) {
        if self.turned >> qubit & 1 == 0 {
            return;
        }
        let qubit = qubit.min(QUBITS - 1);
        let t = self.tangents[qubit];
        for pair in plane.chunks_exact_mut(2 << qubit) {
            let (zero, one) = pair.split_at_mut(1 << qubit);
            for (a, b) in zero.iter_mut().zip(one) {
                (*a, *b) = (*a - *b * t, *b + *a * t);
            }
        }
    }
}

impl<V: Value> StateVector<V> {
    /// Applies `rotations`, empties them and gives the scale that is left out.
    pub(crate) fn rotate(&mut self, rotations: &mut Rotations<V::Scalar>) -> V::Scalar {
        let now = core::mem::replace(rotations, Rotations::NONE);
        if now.is_empty() {
            return V::Scalar::ONE;
        }
        let (re, im) = self.planes_mut();
        now.apply(re);
        now.apply(im);
        now.scale()
    }

    pub(crate) fn scale(&mut self, by: V::Scalar) {
        let (re, im) = self.planes_mut();
        for x in re.iter_mut().chain(im) {
            *x = *x * by;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_together_equal_turns_one_by_one() {
        let (mut together, mut alone) = ([0.0_f64; 2048], [0.0_f64; 2048]);
        for (x, (a, b)) in together.iter_mut().zip(&mut alone).enumerate() {
            *a = (x as f64 * 0.618).fract() - 0.5;
            *b = *a;
        }
        for set in [0x7ff_u16, 0x249, 0x6db, 0x7, 0x400, 0x1b0] {
            let mut rotations = Rotations::<f64>::NONE;
            for q in (0..QUBITS).filter(|q| set >> q & 1 == 1) {
                let (sin, cos) = (0.3 + 0.2 * q as f64).sin_cos();
                assert!(rotations.add(q, cos, sin) && !rotations.add(q, cos, sin));
                for pair in alone.chunks_exact_mut(2 << q) {
                    let (zero, one) = pair.split_at_mut(1 << q);
                    for (a, b) in zero.iter_mut().zip(one) {
                        (*a, *b) = (*a * cos - *b * sin, *a * sin + *b * cos);
                    }
                }
            }
            rotations.apply(&mut together);
            together.iter_mut().for_each(|a| *a *= rotations.scale());
            let gap = together.iter().zip(&alone).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
            assert!(gap < 1e-13, "{set:x} {gap:e}");
        }
    }

    #[test]
    fn a_steep_tangent_is_left_to_its_own_pass() {
        let mut rotations = Rotations::<f32>::NONE;
        assert!(
            !rotations.add(0, 0.0, 1.0)
                && !rotations.add(1, 0.01, 1.0)
                && !rotations.add(11, 1.0, 0.0)
        );
        assert!(rotations.is_empty() && rotations.add(2, 0.1, 0.995));
    }
}

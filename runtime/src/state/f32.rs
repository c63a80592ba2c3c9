//! The statevector: 2048 complex amplitudes in two planes, and the product state it starts from.
//!
//! Qubit 0 is the least significant bit of the basis index: amplitude `re[x] + i im[x]` belongs to
//! the state in which qubit `q` is `x >> q & 1`.

use crate::circuit::QUBITS;
use crate::math::{Scalar, Value};

/// Amplitudes of the largest circuit.
pub const DIM: usize = 1 << QUBITS;

/// A state of up to 11 qubits; a smaller circuit uses the front of both planes.
///
/// With `V = f32` it takes 16 KiB, all the RAM that the exact back end needs beside 400 bytes.
#[derive(Clone, Debug)]
#[repr(C, align(64))]
pub struct StateVector<V> {
    pub(crate) re: [V; DIM],
    pub(crate) im: [V; DIM],
    pub(crate) qubits: u8,
}

impl<V: Value> StateVector<V> {
    /// Room for a state; every amplitude is zero until [`start`](Self::start).
    pub const fn new() -> Self {
        Self { re: [V::ZERO; DIM], im: [V::ZERO; DIM], qubits: 0 }
    }

    /// Qubits of the state it holds.
    pub fn qubits(&self) -> usize {
        self.qubits as usize
    }

    /// The amplitudes as (real, imaginary) planes of `2^qubits` values.
    pub fn planes(&self) -> (&[V], &[V]) {
        let dim = self.dim();
        (&self.re[..dim], &self.im[..dim])
    }

    /// The same, writable.
    pub fn planes_mut(&mut self) -> (&mut [V], &mut [V]) {
        let dim = self.dim();
        (&mut self.re[..dim], &mut self.im[..dim])
    }

    fn dim(&self) -> usize {
        1 << self.qubits.min(QUBITS as u8)
    }

    /// Sets the encoder's product state: RX of `angles_rad[q]` on qubit `q` of |0...0>.
    ///
    /// The number of qubits becomes `angles_rad.len()`, 11 at most (further angles are ignored).
    pub fn start(&mut self, angles_rad: &[V]) {
        let qubits = angles_rad.len().min(QUBITS);
        self.qubits = qubits as u8;
        // |x> has the amplitude (-i)^popcount(x) times a real product: build that product first.
        product(&angles_rad[..qubits], &mut self.re);
        let (re, im) = self.planes_mut();
        rotate_by_weight(re, im);
    }
}

/// The products of cosines and sines of half the angles, by index, into the front of `re`, which has
/// room for them.
#[inline]
pub(crate) fn product<V: Value>(angles_rad: &[V], re: &mut [V]) {
    let Some(first) = re.first_mut() else { return };
    *first = V::splat(V::Scalar::ONE);
    for (q, &angle) in angles_rad.iter().enumerate().take(QUBITS) {
        let (sin, cos) = (angle * V::Scalar::HALF).sin_cos();
        let Some(pair) = re.get_mut(..2 << q) else { return };
        let Some((low, high)) = pair.split_at_mut_checked(1 << q) else { return };
        for (a, b) in low.iter_mut().zip(high) {
            (*a, *b) = (*a * cos, *a * sin);
        }
    }
}

/// Multiplies amplitude `x`, real so far, by (-i)^popcount(x): what RX on every qubit leaves.
#[inline]
pub(crate) fn rotate_by_weight<V: Value>(re: &mut [V], im: &mut [V]) {
    for (x, (re, im)) in re.iter_mut().zip(im).enumerate() {
        let r = *re;
        (*re, *im) = match x.count_ones() % 4 {
            0 => (r, V::ZERO),
            1 => (V::ZERO, -r),
            2 => (-r, V::ZERO),
            _ => (V::ZERO, r),
        };
    }
}

impl<V: Value> Default for StateVector<V> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::f64::consts::PI;

    #[test]
    fn qubit_0_is_the_least_significant_bit() {
        let mut state = StateVector::<f64>::new();
        state.start(&[PI, 0.0, 0.0]);
        let (re, im) = state.planes();
        assert_eq!(re.len(), 8);
        // RX(pi)|0> = -i|1>, and only qubit 0 was turned: index 1.
        assert!((im[1] + 1.0).abs() < 1e-15 && re[1].abs() < 1e-15);
        assert!((0..8).filter(|&x| x != 1).all(|x| re[x].abs() + im[x].abs() < 1e-15));
    }

    #[test]
    fn the_product_state_is_normalised_and_has_the_right_signs() {
        let angles = [0.3, -1.2, 2.5, 0.9];
        let mut state = StateVector::<f64>::new();
        state.start(&angles);
        let (re, im) = state.planes();
        let norm: f64 = re.iter().zip(im).map(|(r, i)| r * r + i * i).sum();
        assert!((norm - 1.0).abs() < 1e-14);
        // Index 0b0110: (-i)^2 cos(a0/2) sin(a1/2) sin(a2/2) cos(a3/2).
        let expected = -(angles[0] / 2.0).cos()
            * (angles[1] / 2.0).sin()
            * (angles[2] / 2.0).sin()
            * (angles[3] / 2.0).cos();
        assert!((re[6] - expected).abs() < 1e-15 && im[6].abs() < 1e-15);
    }
}

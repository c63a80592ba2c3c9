//! Features to encoder angles in radians.

use crate::circuit::QUBITS;
use crate::math::tanh;
use core::f32::consts::PI;

/// How a front end's sums become angles.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Squash {
    /// `pi * tanh(x)`: the product's default.
    PiTanh,
    /// `10 * (x - min) / (max - min)` over the sample's own features: what the paper's public code
    /// does. All features equal gives zeros.
    MinMax10,
}

impl Squash {
    /// Turns features into angles (radians) in place.
    pub fn apply(self, features: &mut [f32; QUBITS]) {
        match self {
            Self::PiTanh => features.iter_mut().for_each(|x| *x = PI * tanh(*x)),
            Self::MinMax10 => {
                let (low, high) = features
                    .iter()
                    .fold((f32::INFINITY, f32::NEG_INFINITY), |(l, h), &x| (l.min(x), h.max(x)));
                let span = high - low;
                let factor = if span > 0.0 { 10.0 / span } else { 0.0 };
                features.iter_mut().for_each(|x| *x = (*x - low) * factor);
            }
        }
    }
}

//! Eight samples side by side: the value type of host batches.

use qdllm_runtime::math::{Scalar, Value};
use std::ops::{Add, Mul, Neg, Sub};

/// Samples in one [`Lanes`].
pub const LANES: usize = 8;

/// One number of each of eight samples; arithmetic is sample by sample.
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(align(32))]
pub struct Lanes(pub [f32; LANES]);

impl Lanes {
    fn zip(self, other: Self, f: impl Fn(f32, f32) -> f32) -> Self {
        let mut out = self;
        for (a, b) in out.0.iter_mut().zip(other.0) {
            *a = f(*a, b);
        }
        out
    }

    /// The sum over the samples, in f64 and in a fixed order.
    pub fn sum(self) -> f64 {
        self.0.iter().map(|&x| f64::from(x)).sum()
    }
}

impl Add for Lanes {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        self.zip(other, |a, b| a + b)
    }
}

impl Sub for Lanes {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        self.zip(other, |a, b| a - b)
    }
}

impl Mul for Lanes {
    type Output = Self;
    fn mul(self, other: Self) -> Self {
        self.zip(other, |a, b| a * b)
    }
}

impl Mul<f32> for Lanes {
    type Output = Self;
    fn mul(self, scale: f32) -> Self {
        Self(self.0.map(|a| a * scale))
    }
}

impl Neg for Lanes {
    type Output = Self;
    fn neg(self) -> Self {
        Self(self.0.map(|a| -a))
    }
}

impl Value for Lanes {
    type Scalar = f32;
    const ZERO: Self = Self([0.0; LANES]);
    fn splat(x: f32) -> Self {
        Self([x; LANES])
    }
    fn sin_cos(self) -> (Self, Self) {
        let (mut sin, mut cos) = (self, self);
        for (s, c) in sin.0.iter_mut().zip(&mut cos.0) {
            (*s, *c) = Scalar::sin_cos(*s);
        }
        (sin, cos)
    }
}

//! The numbers the kernels compute with: the only file that names `libm`.
//!
//! A kernel is written once over a [`Value`]. On a microcontroller a value is one `f32`; in
//! references and gradient checks one `f64`; in host batches an array of samples side by side
//! (defined by the caller). Parameters shared by all samples are the value's [`Scalar`].

use core::ops::{Add, Div, Mul, Neg, Sub};

/// A real number: `f32` or `f64`.
pub trait Scalar:
    Copy
    + PartialOrd
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Neg<Output = Self>
{
    /// Zero.
    const ZERO: Self;
    /// One.
    const ONE: Self;
    /// One half.
    const HALF: Self;
    /// (sine, cosine) of an angle in radians, to within 1 ulp (libm).
    fn sin_cos(self) -> (Self, Self);
    /// The nearest value of this type.
    fn from_f64(x: f64) -> Self;
    /// The value of a stored `f32`.
    fn from_f32(x: f32) -> Self;
}

impl Scalar for f32 {
    const ZERO: Self = 0.0;
    const ONE: Self = 1.0;
    const HALF: Self = 0.5;
    fn sin_cos(self) -> (Self, Self) {
        libm::sincosf(self)
    }
    #[allow(clippy::cast_possible_truncation)]
    fn from_f64(x: f64) -> Self {
        x as Self
    }
    fn from_f32(x: f32) -> Self {
        x
    }
}

impl Scalar for f64 {
    const ZERO: Self = 0.0;
    const ONE: Self = 1.0;
    const HALF: Self = 0.5;
    fn sin_cos(self) -> (Self, Self) {
        libm::sincos(self)
    }
    fn from_f64(x: f64) -> Self {
        x
    }
    fn from_f32(x: f32) -> Self {
        Self::from(x)
    }
}

/// What one amplitude plane holds: a scalar, or several samples side by side.
pub trait Value:
    Copy
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Mul<<Self as Value>::Scalar, Output = Self>
    + Neg<Output = Self>
{
    /// The type of parameters that all samples share.
    type Scalar: Scalar;
    /// Zero in every sample.
    const ZERO: Self;
    /// The same number in every sample.
    fn splat(x: Self::Scalar) -> Self;
    /// (sine, cosine) sample by sample.
    fn sin_cos(self) -> (Self, Self);
}

impl Value for f32 {
    type Scalar = Self;
    const ZERO: Self = 0.0;
    fn splat(x: Self) -> Self {
        x
    }
    fn sin_cos(self) -> (Self, Self) {
        libm::sincosf(self)
    }
}

impl Value for f64 {
    type Scalar = Self;
    const ZERO: Self = 0.0;
    fn splat(x: Self) -> Self {
        x
    }
    fn sin_cos(self) -> (Self, Self) {
        libm::sincos(self)
    }
}

/// Hyperbolic tangent (libm, under 1 ulp).
pub fn tanh(x: f32) -> f32 {
    libm::tanhf(x)
}

/// `e^x` (libm, under 1 ulp).
pub fn exp(x: f32) -> f32 {
    libm::expf(x)
}

/// Square root (exactly rounded).
pub fn sqrt(x: f32) -> f32 {
    libm::sqrtf(x)
}

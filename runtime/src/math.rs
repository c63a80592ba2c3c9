//! The numbers the kernels compute with: the only file that names `libm` and `micromath`.
//!
//! A kernel is written once over a [`Value`]. On a microcontroller a value is one `f32`; in
//! references and gradient checks one `f64`; in host batches an array of samples side by side
//! (defined by the caller). Parameters shared by all samples are the value's [`Scalar`].

use crate::integer::float::{from_q30, half_phase};
use crate::integer::sine;
use core::ops::{Add, Div, Mul, Neg, Sub};

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
    /// (sine, cosine) of angles in radians: `f32` to within 2e-7, `f64` to within 1 ulp (libm).
    fn sin_cos(self) -> (Self, Self);
}

/// A real number: `f32` or `f64`.
pub trait Scalar: Value<Scalar = Self> + PartialOrd + Div<Output = Self> {
    /// One.
    const ONE: Self;
    /// One half.
    const HALF: Self;
    /// The nearest value of this type.
    fn from_f64(x: f64) -> Self;
    /// The value of a stored `f32`.
    fn from_f32(x: f32) -> Self;
}

macro_rules! real {
    ($real:ident, $sin_cos:path) => {
        impl Value for $real {
            type Scalar = Self;
            const ZERO: Self = 0.0;
            fn splat(x: Self) -> Self {
                x
            }
            fn sin_cos(self) -> (Self, Self) {
                $sin_cos(self)
            }
        }

        impl Scalar for $real {
            const ONE: Self = 1.0;
            const HALF: Self = 0.5;
            fn from_f64(x: f64) -> Self {
                x as Self
            }
            fn from_f32(x: f32) -> Self {
                Self::from(x)
            }
        }
    };
}

real!(f32, sin_cos);
real!(f64, libm::sincos);

#[cfg(not(feature = "micromath"))]
use self::circle as sin_cos;

/// (sine, cosine) of `x` radians by a parabola; the error is under 2e-3.
#[cfg(feature = "micromath")]
fn sin_cos(x: f32) -> (f32, f32) {
    let (sin, cos) = micromath::F32(x).sin_cos();
    (sin.0, cos.0)
}

/// Beyond this many radians the quick reduction would lose bits, and integers take over.
const FAR: f32 = 1000.0;
/// A quarter turn in three parts; the first two have so few bits that multiples to 1000 radians are exact.
const QUARTER: [f32; 3] = [1.570_312_5, 4.837_513e-4, 7.549_79e-8];

/// (sine, cosine) of `x` radians; the error is under 2e-7.
///
/// libm's computes in `f64`, which a microcontroller does in software. What is no finite number has
/// none.
#[cfg_attr(feature = "micromath", allow(dead_code))]
fn circle(x: f32) -> (f32, f32) {
    if !x.is_finite() {
        return (f32::NAN, f32::NAN);
    }
    if !(-FAR..=FAR).contains(&x) {
        let (sin, cos) = sine::sin_cos(half_phase(x).wrapping_mul(2));
        return (from_q30(sin), from_q30(cos));
    }
    let quarters = x * core::f32::consts::FRAC_2_PI;
    let quarters = (quarters + if x < 0.0 { -0.5 } else { 0.5 }) as i32;
    let whole = quarters as f32;
    let r = ((x - whole * QUARTER[0]) - whole * QUARTER[1]) - whole * QUARTER[2];
    let z = r * r;
    let sin = 1.0 / 362_880.0;
    let sin = ((sin * z - 1.0 / 5040.0) * z + 1.0 / 120.0) * z - 1.0 / 6.0;
    let sin = sin * z * r + r;
    let cos = -1.0 / 3_628_800.0;
    let cos = ((cos * z + 1.0 / 40_320.0) * z - 1.0 / 720.0) * z + 1.0 / 24.0;
    let cos = (cos * z - 0.5) * z + 1.0;
    match quarters & 3 {
        0 => (sin, cos),
        1 => (cos, -sin),
        2 => (-sin, -cos),
        _ => (-cos, sin),
    }
}

/// Hyperbolic tangent (libm, under 2 ulp).
pub fn tanh(x: f32) -> f32 {
    libm::tanhf(x)
}

/// `e^x` (libm, under 1 ulp; with the feature `micromath` within 1 part in 100).
pub fn exp(x: f32) -> f32 {
    #[cfg(feature = "micromath")]
    return micromath::F32(x).exp().0;
    #[cfg(not(feature = "micromath"))]
    libm::expf(x)
}

/// Square root (exactly rounded).
pub fn sqrt(x: f32) -> f32 {
    libm::sqrtf(x)
}

/// The nearest whole number, away from zero where two are.
#[cfg(feature = "alloc")]
pub(crate) fn round(x: f64) -> f64 {
    libm::round(x)
}

/// `x` to the power of `y`.
#[cfg(feature = "alloc")]
pub(crate) fn pow(x: f64, y: f64) -> f64 {
    libm::pow(x, y)
}

#[cfg(feature = "alloc")]
type Function = (&'static str, fn(f64) -> f64);

/// The functions of angle expressions, by the names of OpenQASM 2 and 3.
#[cfg(feature = "alloc")]
pub(crate) const FUNCTIONS: [Function; 10] = [
    ("sin", libm::sin),
    ("cos", libm::cos),
    ("tan", libm::tan),
    ("exp", libm::exp),
    ("ln", libm::log),
    ("log", libm::log),
    ("sqrt", libm::sqrt),
    ("arcsin", libm::asin),
    ("arccos", libm::acos),
    ("arctan", libm::atan),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sine_and_cosine_are_as_close_as_stated() {
        let mut worst = 0.0_f64;
        for i in -1_010_000..=1_010_000 {
            let x = i as f32 * 0.001;
            let (s, c) = circle(x);
            let (sin, cos) = libm::sincos(f64::from(x));
            worst = worst.max((f64::from(s) - sin).abs()).max((f64::from(c) - cos).abs());
        }
        for i in 0..2_000_000_u32 {
            let x = f32::from_bits(0x447a_0000 + i * 490);
            let (s, c) = circle(x);
            let (sin, cos) = libm::sincos(f64::from(x));
            worst = worst.max((f64::from(s) - sin).abs()).max((f64::from(c) - cos).abs());
        }
        assert!(worst < 2e-7, "{worst:e}");
        assert!(circle(f32::NAN).0.is_nan() && circle(f32::INFINITY).1.is_nan());
    }

    /// Distance of `got` to `exact` in units of the last place of the nearest `f32`.
    fn ulps(got: f32, exact: f64) -> f64 {
        let nearest = exact as f32;
        let ulp = f64::from(f32::from_bits(nearest.abs().to_bits() + 1)) - f64::from(nearest.abs());
        (f64::from(got) - exact).abs() / ulp
    }

    #[test]
    fn tanh_exp_and_sqrt_are_as_close_as_stated() {
        let mut worst = [0.0_f64; 3];
        for i in -400_000..=400_000 {
            let x = i as f32 * 2e-4;
            let wide = f64::from(x);
            worst[0] = worst[0].max(ulps(tanh(x), libm::tanh(wide)));
            worst[1] = worst[1].max(ulps(libm::expf(x), libm::exp(wide)));
            worst[2] = worst[2].max(ulps(sqrt(x.abs()), libm::sqrt(wide.abs())));
        }
        assert!(worst[0] < 2.0 && worst[1] < 1.0 && worst[2] <= 0.5, "{worst:?}");
    }

    #[test]
    #[cfg(feature = "micromath")]
    fn micromath_is_as_close_as_stated() {
        let mut worst = [0.0_f64; 2];
        for i in -400_000..=400_000 {
            let x = i as f32 * 2e-4;
            let (s, c) = sin_cos(x);
            let (sin, cos) = libm::sincos(f64::from(x));
            worst[0] = worst[0].max((f64::from(s) - sin).abs()).max((f64::from(c) - cos).abs());
            let power = libm::exp(f64::from(x));
            worst[1] = worst[1].max((f64::from(exp(x)) / power - 1.0).abs());
        }
        assert!(worst[0] < 2e-3 && worst[1] < 1e-2, "{worst:?}");
    }
}

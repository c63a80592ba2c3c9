//! Arithmetic of chips without a floating-point unit: everything between the integer row table and the
//! probabilities in integers, bit for bit the same on every target.
//!
//! A phase is a `u32` of which 2^32 make one turn, so that wrapping is exact. "Q24" means an `i32` of
//! which 2^24 make 1. `f32` values of a model file are taken apart by their bits; no operation here is a
//! floating-point one.

mod encoder;
mod exp;
mod float;
mod sine;
mod softmax;

pub use encoder::{features_q24, phases, phases_of_f32};
pub use exp::{exp2_q30, inverse, inverse_root, tanh_q30};
pub use float::{Inverse, from_q30, half_phase, to_fixed};
pub use sine::{sin_cos, sin_cos_q15};
pub use softmax::softmax_q16;

/// The product of two Q30 numbers, rounded down.
#[inline]
pub(crate) const fn mul_q30(a: i32, b: i32) -> i32 {
    ((a as i64 * b as i64) >> 30) as i32
}

/// The nearest `i32`, at the ends of its range for what lies beyond.
#[inline(never)]
pub(crate) const fn saturate(x: i64) -> i32 {
    if x > i32::MAX as i64 {
        i32::MAX
    } else if x < i32::MIN as i64 {
        i32::MIN
    } else {
        x as i32
    }
}

/// `x * 2^shift`, rounded to nearest, at the ends of the range for what lies beyond.
#[inline(never)]
pub(crate) const fn shifted(x: i64, shift: i32) -> i32 {
    if shift <= -63 || x == 0 {
        0
    } else if shift <= 0 {
        let half = if shift == 0 { 0 } else { 1 << (-shift - 1) };
        saturate(x.saturating_add(half) >> -shift)
    } else if x.unsigned_abs().leading_zeros() as i32 <= shift + 32 {
        if x < 0 { i32::MIN } else { i32::MAX }
    } else {
        saturate(x << shift)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shifts_round_and_saturate() {
        assert_eq!(shifted(5, -1), 3);
        assert_eq!(shifted(-5, -1), -2);
        assert_eq!(shifted(1, 30), 1 << 30);
        assert_eq!(shifted(1, 31), i32::MAX);
        assert_eq!(shifted(-1, 200), i32::MIN);
        assert_eq!(shifted(i64::MAX, -200), 0);
        assert_eq!(shifted(i64::MAX, 0), i32::MAX);
        assert_eq!(shifted(i64::MIN, 0), i32::MIN);
        assert_eq!(shifted(0, 100), 0);
    }
}

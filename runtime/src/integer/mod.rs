//! Arithmetic of chips without a floating-point unit: everything between the integer row table and the
//! probabilities in integers, bit for bit the same on every target.
//!
//! A phase is a `u32` of which 2^32 make one turn, so that wrapping is exact. "Q24" means an `i32` of
//! which 2^24 make 1. `f32` values of a model file are taken apart by their bits; no operation here is a
//! floating-point one.

mod exp;
pub(crate) mod float;
mod phases;
pub(crate) mod sine;
#[cfg(feature = "_integer")]
mod softmax;

#[cfg(feature = "statevector-i16")]
pub(crate) use exp::inverse;
#[cfg(feature = "statevector-i16")]
pub(crate) use float::half_phase;
pub(crate) use float::to_fixed;
pub(crate) use phases::{features_q24, phases, phases_of_f32};
#[cfg(feature = "_integer")]
pub(crate) use sine::sin_cos_q15;
#[cfg(feature = "_integer")]
pub(crate) use softmax::softmax_q16;

/// The product of two Q30 numbers, rounded down.
#[inline]
pub(crate) const fn mul_q30(a: i32, b: i32) -> i32 {
    ((a as i64 * b as i64) >> 30) as i32
}

/// The nearest `i32`, at the ends of its range for what lies beyond.
#[inline]
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
    } else if shift < 0 {
        let down = x >> (-shift - 1);
        // Rounded by the last bit that goes.
        saturate((down >> 1) + (down & 1))
    } else if x.unsigned_abs().leading_zeros() as i32 <= shift + 32 {
        if x < 0 { i32::MIN } else { i32::MAX }
    } else {
        (x as i32) << shift
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

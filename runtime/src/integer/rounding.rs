//! Products and shifts of integers, rounded and within their range.

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

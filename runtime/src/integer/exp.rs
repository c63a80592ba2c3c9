//! Powers of two, hyperbolic tangent, inverse and inverse square root in integers.

use super::mul_q30;

/// log2(e), Q30.
const LOG2_E: u64 = 1_549_082_005;

/// `2^-x` in Q30 for `x >= 0` in Q24; the error is under 1e-8, and what is under 2^-30 is 0.
pub fn exp2_q30(x_q24: u32) -> i32 {
    // (ln 2)^k / k!, Q30, with the signs of exp(-x).
    const TERMS: [i32; 7] =
        [-16_377, 165_394, -1_431_680, 10_327_387, -59_597_083, 257_941_248, -744_261_118];
    // The nearest whole number, and at most a half beside it in Q30.
    let whole = x_q24.saturating_add(1 << 23) >> 24;
    if whole > 30 {
        return 0;
    }
    let part = (x_q24.wrapping_sub(whole << 24) as i32) << 6;
    let mut power = 0;
    for c in TERMS {
        power = mul_q30(power, part) + c;
    }
    // Up to the square root of 2: still under 2^31.
    let power = mul_q30(power, part) + (1 << 30);
    if whole == 0 { power } else { (power + (1 << (whole - 1))) >> whole }
}

/// `tanh(x)` in Q30 for `x` in Q24; the error is under 3e-8.
pub fn tanh_q30(x_q24: i32) -> i32 {
    // From 16 on it is 1 in Q30.
    let size = x_q24.unsigned_abs().min(16 << 24);
    // tanh x = (1 - e) / (1 + e) with e = exp(-2x).
    let e = exp2_q30(((u64::from(size) * LOG2_E) >> 29) as u32);
    let ratio = mul_q30((1 << 30) - e, inverse((1 << 30) + e as u32));
    if x_q24 < 0 { -ratio } else { ratio }
}

/// `1 / x` in Q30 for `x` in Q30 from 1 to 2, both included; the error is under 4e-9.
///
/// Newton's iteration from the best straight line: a Cortex-M0+ has no division.
pub fn inverse(x_q30: u32) -> i32 {
    // Half of x lies in 0.5..=1: the line 48/17 - 32/17 x/2 is within 1/17 of 2/x there. In Q29, so that
    // up to 2.9 fits an `i32` and a product is one instruction where there is one.
    const AT_0: i32 = 1_515_870_810;
    const SLOPE: i32 = 2_021_161_080;
    let half = (x_q30 >> 1) as i32;
    let mut y = AT_0 - (((SLOPE as i64 * half as i64) >> 31) as i32);
    for _ in 0..3 {
        let short = (1 << 30) - (((half as i64 * y as i64) >> 29) as i32);
        y += mul_q30(y, short);
    }
    y
}

/// `1 / sqrt(x)` in Q30 for `x` in Q30 from 1 to 4 (4 excluded); the error is under 8e-9.
pub fn inverse_root(x_q30: u32) -> i32 {
    // Within 0.1 of 1/sqrt(x) on 1..4: 1.1 - x/6. In Q29, and x in Q28, so that everything fits an `i32`.
    let x = (x_q30 >> 2) as i32;
    let mut y = 590_558_003 - (((x as i64 * 43) >> 7) as i32);
    for _ in 0..5 {
        let xy = ((x as i64 * y as i64) >> 28) as i32;
        let xyy = ((xy as i64 * y as i64) >> 29) as i32;
        // 1.5 - x y y / 2 is at most 1.5.
        let factor = (3 << 28) - (xyy >> 1);
        y = ((y as i64 * factor as i64) >> 29) as i32;
    }
    y << 1
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: f64 = 1_073_741_824.0;

    #[test]
    fn the_stated_errors_hold_on_dense_grids() {
        let mut worst = [0.0_f64; 4];
        let mut note = |i: usize, got: i32, exact: f64| {
            worst[i] = worst[i].max((f64::from(got) / ONE - exact).abs());
        };
        for i in 0..200_000_u32 {
            let x = i * 2681;
            note(0, exp2_q30(x), libm::exp2(-f64::from(x) / 16_777_216.0));
            let x = (x as i32).wrapping_mul(7);
            note(1, tanh_q30(x), libm::tanh(f64::from(x) / 16_777_216.0));
            let x = (1 << 30) + (i << 12) + i;
            note(2, inverse(x), ONE / f64::from(x));
            let x = (1_u32 << 30) + i * 16_106;
            note(3, inverse_root(x), 1.0 / (f64::from(x) / ONE).sqrt());
        }
        assert!(worst[0] < 1e-8 && worst[1] < 3e-8, "{worst:?}");
        assert!(worst[2] < 4e-9 && worst[3] < 8e-9, "{worst:?}");
        assert!((1 << 30) + tanh_q30(i32::MIN) <= 1);
        assert_eq!(exp2_q30(u32::MAX), 0);
        assert_eq!(exp2_q30(0), 1 << 30);
        assert!(inverse(1 << 30).abs_diff(1 << 30) <= 1);
    }
}

//! Sine and cosine without a branch or a call, so that they run in every lane at once.

use pulp::Simd;
use std::f64::consts::{FRAC_1_PI, PI};

/// Adding and subtracting it rounds a smaller number to the nearest integer.
const ROUND: f32 = 12_582_912.0;
const ROUND_WIDE: f64 = 6_755_399_441_055_744.0;
/// pi in two parts, the second what `f32` leaves of the first.
const PI_HIGH: f32 = std::f32::consts::PI;
const PI_LOW: f32 = -8.742_278e-8;

/// Taylor coefficients of `sin(r) / r` in `r^2`; at pi/2 the next term is under 6e-8.
const SIN: [f32; 6] =
    [1.0, -1.0 / 6.0, 1.0 / 120.0, -1.0 / 5040.0, 1.0 / 362_880.0, -1.0 / 39_916_800.0];
/// Taylor coefficients of `cos(r)` in `r^2`; at pi/2 the next term is under 7e-9.
const COS: [f32; 7] = [
    1.0,
    -1.0 / 2.0,
    1.0 / 24.0,
    -1.0 / 720.0,
    1.0 / 40_320.0,
    -1.0 / 3_628_800.0,
    1.0 / 479_001_600.0,
];

/// (sine, cosine) of `x` radians in every lane, |x| <= 1000; the error is under 2e-7.
#[inline(always)]
pub(crate) fn sin_cos<S: Simd>(simd: S, x: S::f32s) -> (S::f32s, S::f32s) {
    let round = simd.splat_f32s(ROUND);
    let whole = simd.sub_f32s(
        simd.mul_add_e_f32s(x, simd.splat_f32s(std::f32::consts::FRAC_1_PI), round),
        round,
    );
    let rest = simd.negate_mul_add_e_f32s(whole, simd.splat_f32s(PI_HIGH), x);
    let rest = simd.negate_mul_add_e_f32s(whole, simd.splat_f32s(PI_LOW), rest);
    // An odd number of half turns changes the sign of both.
    let pairs = simd.sub_f32s(simd.mul_add_e_f32s(whole, simd.splat_f32s(0.5), round), round);
    let odd = simd.negate_mul_add_e_f32s(pairs, simd.splat_f32s(2.0), whole);
    let sign = simd.negate_mul_add_e_f32s(
        simd.mul_f32s(odd, odd),
        simd.splat_f32s(2.0),
        simd.splat_f32s(1.0),
    );
    let square = simd.mul_f32s(rest, rest);
    let (mut sin, mut cos) = (simd.splat_f32s(SIN[5]), simd.splat_f32s(COS[6]));
    for k in 0..5 {
        sin = simd.mul_add_e_f32s(sin, square, simd.splat_f32s(SIN[4 - k]));
    }
    for k in 0..6 {
        cos = simd.mul_add_e_f32s(cos, square, simd.splat_f32s(COS[5 - k]));
    }
    (simd.mul_f32s(simd.mul_f32s(sin, rest), sign), simd.mul_f32s(cos, sign))
}

/// (cosine, sine) of `x` radians; the error is under 7e-8, the rounding to `f32` included.
pub(crate) fn circle(x: f64) -> [f32; 2] {
    // The last bit of the shifted number is that of the integer, and says whether it is odd.
    let shifted = x * FRAC_1_PI + ROUND_WIDE;
    let rest = x - (shifted - ROUND_WIDE) * PI;
    let sign = if shifted.to_bits() & 1 == 0 { 1.0 } else { -1.0 };
    let square = rest * rest;
    let mut sin = 1.0 / 6_227_020_800.0;
    let mut cos = 1.0 / 479_001_600.0;
    for c in [-39_916_800.0, 362_880.0, -5040.0, 120.0, -6.0, 1.0_f64] {
        sin = sin * square + 1.0 / c;
    }
    for c in [-3_628_800.0, 40_320.0, -720.0, 24.0, -2.0, 1.0_f64] {
        cos = cos * square + 1.0 / c;
    }
    #[allow(clippy::cast_possible_truncation)]
    [(sign * cos) as f32, (sign * sin * rest) as f32]
}

#[cfg(test)]
mod tests {
    use super::*;
    use pulp::{Arch, WithSimd};

    struct At(f32);

    impl WithSimd for At {
        type Output = (f32, f32);
        #[inline(always)]
        fn with_simd<S: Simd>(self, simd: S) -> (f32, f32) {
            let (sin, cos) = sin_cos(simd, simd.splat_f32s(self.0));
            let lanes = S::F32_LANES as f32;
            (simd.reduce_sum_f32s(sin) / lanes, simd.reduce_sum_f32s(cos) / lanes)
        }
    }

    #[test]
    fn errors_stay_under_what_is_stated() {
        let (mut lanes, mut table) = (0.0_f64, 0.0_f64);
        for i in -100_000..=100_000 {
            let x = i as f32 * 0.01;
            let (s, c) = Arch::new().dispatch(At(x));
            let wide = f64::from(x);
            lanes = lanes.max((f64::from(s) - wide.sin()).abs());
            lanes = lanes.max((f64::from(c) - wide.cos()).abs());
            let [c, s] = circle(wide);
            table = table.max((f64::from(s) - wide.sin()).abs());
            table = table.max((f64::from(c) - wide.cos()).abs());
        }
        println!("largest error: lanes {lanes:.1e}, table {table:.1e}");
        assert!(lanes < 2e-7 && table < 7e-8, "{lanes:e} {table:e}");
    }
}

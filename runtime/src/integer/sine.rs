//! Sine and cosine of a phase in integers.

use super::mul_q30;

/// The nearest quarter of a turn, and what is left of the phase in eighths of a turn, Q30.
#[inline]
const fn reduce(phase: u32) -> (u32, i32) {
    let quarters = phase.wrapping_add(1 << 29) >> 30;
    // At most 2^29 either way; doubled, 2^30 is an eighth of a turn.
    (quarters, (phase.wrapping_sub(quarters << 30) as i32) << 1)
}

/// Gives the sine and cosine of the nearest quarter turn plus what is left.
#[inline]
const fn rotate(quarters: u32, sin: i32, cos: i32) -> (i32, i32) {
    let (sin, cos) = if quarters & 1 == 0 { (sin, cos) } else { (cos, -sin) };
    if quarters & 2 == 0 { (sin, cos) } else { (-sin, -cos) }
}

/// (sine, cosine) of a phase in Q30; the error is under 1e-8.
///
/// Taylor series about the nearest quarter turn, in eighths of a turn: 10 multiplications of 32 bits.
pub fn sin_cos(phase: u32) -> (i32, i32) {
    const SIN: [i32; 4] = [336, -39_273, 2_674_041, -86_699_834];
    const COS: [i32; 5] = [-26, 3_856, -350_031, 17_023_473, -331_168_970];
    const EIGHTH: i32 = 843_314_857;
    let (quarters, t) = reduce(phase);
    let z = mul_q30(t, t);
    let mut sin = 0;
    for c in SIN {
        sin = mul_q30(sin, z) + c;
    }
    let sin = mul_q30(mul_q30(sin, z) + EIGHTH, t);
    let mut cos = 0;
    for c in COS {
        cos = mul_q30(cos, z) + c;
    }
    let cos = mul_q30(cos, z) + (1 << 30);
    rotate(quarters, sin, cos)
}

/// (sine, cosine) of a phase in Q15; the error is under 6e-5.
///
/// Seven multiplications whose factors have 16 bits: what a Cortex-M0+ does in one cycle each.
#[cfg(any(test, feature = "_integer"))]
#[inline]
pub fn sin_cos_q15(phase: u32) -> (i32, i32) {
    let (quarters, t) = reduce(phase);
    let t = (t + (1 << 14)) >> 15;
    let z = (t * t) >> 15;
    let sin = ((((81 * z) >> 15) - 2646) * z) >> 15;
    let sin = (t * (sin + 25_736) + (1 << 14)) >> 15;
    let cos = ((((-10 * z) >> 15) + 519) * z) >> 15;
    let cos = ((cos - 10_106) * z + (1 << 14)) >> 15;
    rotate(quarters, sin, cos + (1 << 15))
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::f64::consts::TAU;

    /// Largest errors of both functions over a dense grid, 65,536 phases and their neighbours.
    fn worst(f: impl Fn(u32) -> (i32, i32), one: f64) -> f64 {
        let mut worst = 0.0_f64;
        for i in 0..=u32::from(u16::MAX) {
            for phase in [i << 16, (i << 16).wrapping_sub(1), (i << 16) | 0x8123] {
                let (sin, cos) = libm::sincos(f64::from(phase) / 4_294_967_296.0 * TAU);
                let (s, c) = f(phase);
                worst = worst.max((f64::from(s) / one - sin).abs());
                worst = worst.max((f64::from(c) / one - cos).abs());
            }
        }
        worst
    }

    #[test]
    fn the_stated_errors_hold_everywhere() {
        let fine = worst(sin_cos, f64::from(1 << 30));
        assert!(fine < 1e-8, "{fine:e}");
        let quick = worst(sin_cos_q15, f64::from(1 << 15));
        assert!(quick < 6e-5, "{quick:e}");
    }
}

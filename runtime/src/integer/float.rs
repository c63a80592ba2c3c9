//! `f32` values of a model file taken apart and put together by their bits.

use super::exp::{inverse, inverse_root};
use super::shifted;

/// (mantissa of 24 bits with its sign, exponent): the value is `mantissa * 2^exponent`. What is too small
/// for a leading bit counts as 0, what is not finite as the largest.
#[inline]
pub(super) const fn parts(x: f32) -> (i32, i32) {
    let bits = x.to_bits();
    let exponent = (bits >> 23 & 0xff) as i32;
    if exponent == 0 {
        return (0, 0);
    }
    let size = (bits & 0x7f_ffff | 0x80_0000) as i32;
    (if bits >> 31 == 1 { -size } else { size }, exponent - 150)
}

/// `x * 2^fraction_bits`, rounded to nearest, at the ends of the range for what lies beyond.
pub const fn to_fixed(x: f32, fraction_bits: i32) -> i32 {
    let (mantissa, exponent) = parts(x);
    let shift = exponent + fraction_bits;
    if shift <= 0 && shift > -31 {
        // What a trained model has; 25 bits at most.
        return (mantissa + ((1 << -shift) >> 1)) >> -shift;
    }
    shifted(mantissa as i64, shift)
}

/// The `f32` nearest to a Q30 number (within 2^-24 of its size).
pub const fn from_q30(x: i32) -> f32 {
    let size = x.unsigned_abs();
    if size == 0 {
        return 0.0;
    }
    let top = 31 - size.leading_zeros();
    // The leading bit to bit 23; what is cut off below is rounded.
    let mantissa =
        if top <= 23 { size << (23 - top) } else { (size + (1 << (top - 24))) >> (top - 23) };
    // A mantissa rounded up to 2^24 carries into the exponent, which is then right again.
    let bits = ((top + 127 - 30) << 23) + (mantissa - 0x80_0000);
    f32::from_bits(bits | if x < 0 { 1 << 31 } else { 0 })
}

/// Half of an angle in radians as a phase, for every finite `f32`: the error is under 2^-31 turns.
///
/// The fraction of a turn is the product of the mantissa with those 64 bits of 1/(4 pi) that the
/// exponent leaves behind the point; bits before them only make whole turns.
pub fn half_phase(angle_rad: f32) -> u32 {
    /// 1/(4 pi) in binary.
    const PER_TURN: [u32; 6] =
        [0x145f_306d, 0xc9c8_82a5, 0x3f84_eafa, 0x3ea6_9bb8, 0x1b6c_52b3, 0x2788_7208];
    let (mantissa, exponent) = parts(angle_rad);
    let word = |i: usize| u64::from(PER_TURN.get(i).copied().unwrap_or(0));
    let first = exponent.max(0) as usize;
    let (skip, shift) = (first / 32, first % 32);
    let top = word(skip) << 32 | word(skip + 1);
    let bits = top << shift | (word(skip + 2) << shift) >> 32;
    let bits = bits.checked_shr(exponent.min(0).unsigned_abs()).unwrap_or(0);
    let turns = (mantissa as i64 as u64).wrapping_mul(bits);
    (turns.wrapping_add(1 << 31) >> 32) as u32
}

/// The inverse of a positive number, or of its square root: `mantissa_q30 * 2^exponent`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Inverse {
    mantissa_q30: i32,
    exponent: i32,
}

impl Inverse {
    /// `1 / x`; `x` of 0 counts as 1.
    pub fn of(x: u32) -> Self {
        let x = x.max(1);
        let zeros = x.leading_zeros() as i32;
        // The leading bit to bit 30: a number from 1 to 2 in Q30.
        Self { mantissa_q30: inverse((x << zeros) >> 1), exponent: zeros - 31 }
    }

    /// `1 / sqrt(x)`; `x` of 0 counts as 1.
    pub fn root(x: u32) -> Self {
        let x = x.max(1);
        // An even shift to a number from 1 to 4 in Q30.
        let zeros = x.leading_zeros() as i32 & !1;
        Self { mantissa_q30: inverse_root(x << zeros), exponent: (zeros - 30) / 2 }
    }

    /// `1 / x` of a positive `f32`; 1 for what is no positive number.
    #[cfg(any(test, feature = "_integer"))]
    pub fn of_f32(x: f32) -> Self {
        let (mantissa, exponent) = parts(x);
        if mantissa <= 0 {
            return Self::of(1);
        }
        let of = Self::of(mantissa as u32);
        Self { exponent: of.exponent - exponent, ..of }
    }

    /// `value * 2^exponent` times this, times `2^fraction_bits`: rounded, saturating.
    pub fn times(self, value: i64, exponent: i32, fraction_bits: i32) -> i32 {
        // To 31 bits and a sign, so that the product fits.
        let excess = (33 - value.unsigned_abs().leading_zeros() as i32).max(0);
        let product = i64::from((value >> excess) as i32) * i64::from(self.mantissa_q30);
        shifted(product, exponent + excess + self.exponent - 30 + fraction_bits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ONE: f64 = 1_073_741_824.0;

    proptest! {
        #[test]
        fn fixed_is_the_rounded_product(x in -3000.0f32..3000.0, bits in 0i32..20) {
            let exact = (f64::from(x) * f64::from(1 << bits)).clamp(-2_147_483_648.0, 2_147_483_647.0);
            prop_assert!((f64::from(to_fixed(x, bits)) - exact).abs() <= 0.5);
        }

        #[test]
        fn and_back(x in -(1 << 30)..=1_i32 << 30) {
            let exact = f64::from(x) / f64::from(1 << 30);
            let got = f64::from(from_q30(x));
            prop_assert!((got - exact).abs() <= exact.abs() / f64::from(1 << 24));
        }

        #[test]
        fn half_a_phase_is_right_at_any_size(
            x in -8.0f32..8.0, size in prop::sample::select(&[1e-9f32, 1e-3, 1.0, 1e3, 1e9, 1e30][..]),
        ) {
            let (sin, cos) = crate::integer::sine::sin_cos(half_phase(x * size));
            let (s, c) = libm::sincos(f64::from(x * size) / 2.0);
            let gap = (f64::from(sin) / ONE - s).abs().max((f64::from(cos) / ONE - c).abs());
            prop_assert!(gap < 1.3e-8, "{gap:e}");
        }

        #[test]
        fn inverses(x in 1u32..=1 << 23, sum in -1_000_000i64..1_000_000) {
            let of = f64::from(Inverse::of(x).times(sum, 0, 8)) - sum as f64 * 256.0 / f64::from(x);
            let root = Inverse::root(x).times(sum, 0, 8);
            let root = f64::from(root) - sum as f64 * 256.0 / f64::from(x).sqrt();
            let f = Inverse::of_f32(x as f32 / 1024.0).times(sum, -10, 8);
            let f = f64::from(f) - sum as f64 * 256.0 / f64::from(x);
            prop_assert!(of.abs() < 3.0 && root.abs() < 3.0 && f.abs() < 3.0, "{of} {root} {f}");
        }
    }

    #[test]
    fn what_is_no_number_does_not_wrap() {
        assert_eq!(to_fixed(f32::INFINITY, 0), i32::MAX);
        assert_eq!(to_fixed(-1e30, 24), i32::MIN);
        assert_eq!(to_fixed(1e-40, 24), 0);
        assert_eq!(from_q30(0), 0.0);
        assert_eq!(from_q30(1 << 30), 1.0);
    }
}

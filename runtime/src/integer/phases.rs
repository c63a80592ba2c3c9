//! Sums of rows to encoder phases.

use super::exp::{inverse, tanh_q30};
use super::float::to_fixed;
use super::float::{Inverse, parts};
use super::mul_q30;
use crate::angles::Squash;
use crate::circuit::QUBITS;
use crate::format::floats::Floats;
use crate::text::pool::{Pool, ROW};

/// The features of `sums` (of `found` rows) in Q24, at most 128 in size; for features of trained models,
/// which stay under 100, the error is under 1e-5.
pub fn features_q24(
    sums: &[i32; ROW],
    found: u32,
    pool: Pool,
    scale: &Floats<'_>,
) -> [i32; QUBITS] {
    let divisor = match pool {
        Pool::Mean => Inverse::of(found),
        Pool::Root => Inverse::root(found),
    };
    let mut features = [0; QUBITS];
    for (i, (x, &sum)) in features.iter_mut().zip(sums).enumerate() {
        let (mantissa, exponent) = parts(scale.get(i));
        let value = divisor.times(i64::from(sum) * i64::from(mantissa), exponent, 24);
        *x = value.saturating_add(to_fixed(scale.get(ROW + i), 24));
    }
    features
}

/// Encoder phases of features in any fixed-point format that they share; `PiTanh` needs Q24.
pub fn phases(features: &[i32; QUBITS], squash: Squash) -> [u32; QUBITS] {
    match squash {
        // A tangent of 1 in Q30 is half a turn, 2^31.
        Squash::PiTanh => features.map(|x| (tanh_q30(x) as u32) << 1),
        Squash::MinMax10 => {
            const TEN: u64 = 6_835_652_756;
            let (low, high) =
                features.iter().fold((i32::MAX, i32::MIN), |(l, h), &x| (l.min(x), h.max(x)));
            let span = high.wrapping_sub(low) as u32;
            let zeros = span.max(1).leading_zeros();
            let factor = inverse((span.max(1) << zeros) >> 1);
            features.map(|x| {
                let above = ((x.wrapping_sub(low) as u32) << zeros) >> 1;
                let share = mul_q30(above as i32, factor) as u64;
                if span == 0 { 0 } else { ((share * TEN) >> 30) as u32 }
            })
        }
    }
}

/// The same of `f32` features, for front ends that compute in floating point.
pub fn phases_of_f32(features: &[f32; QUBITS], squash: Squash) -> [u32; QUBITS] {
    let fraction_bits = match squash {
        Squash::PiTanh => 24,
        // Only ratios count: the finest format in which the largest is under 2^30.
        Squash::MinMax10 => {
            let tops = features.iter().map(|&x| parts(x)).filter(|p| p.0 != 0).map(|p| p.1 + 24);
            30 - tops.max().unwrap_or(0)
        }
    };
    phases(&features.map(|x| to_fixed(x, fraction_bits)), squash)
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::f64::consts::TAU;
    use proptest::prelude::*;

    /// Distance of a phase to an angle in radians.
    fn gap(phase: u32, angle_rad: f32) -> f64 {
        let turns = f64::from(phase) / 4_294_967_296.0 - f64::from(angle_rad) / TAU;
        (turns - turns.round()).abs() * TAU
    }

    proptest! {
        #[test]
        fn phases_are_the_angles(
            features in prop::array::uniform11(-20.0f32..20.0),
            size in prop::sample::select(&[1e-3f32, 0.1, 1.0, 1e6][..]),
        ) {
            for squash in [Squash::PiTanh, Squash::MinMax10] {
                let features = features.map(|x| x * size);
                let mut angles = features;
                squash.apply(&mut angles);
                for (phase, angle) in phases_of_f32(&features, squash).into_iter().zip(angles) {
                    let gap = gap(phase, angle);
                    prop_assert!(gap < 4e-6, "{squash:?} {angle} {gap:e}");
                }
            }
        }

        #[test]
        fn features_are_the_features(
            sums in prop::array::uniform11(-2000i32..2000),
            found in 0u32..300,
            table in prop::collection::vec(-0.05f32..0.05, 2 * ROW),
        ) {
            let bytes: std::vec::Vec<u8> = table.iter().flat_map(|x| x.to_le_bytes()).collect();
            let scale = Floats::parse(&bytes, 2 * ROW, crate::Error::BadRows).unwrap();
            for pool in [Pool::Mean, Pool::Root] {
                let got = features_q24(&sums, found, pool, &scale);
                for (i, got) in got.into_iter().enumerate() {
                    let exact = f64::from(sums[i]) * f64::from(table[i])
                        / f64::from(pool.divisor(found)) + f64::from(table[ROW + i]);
                    let gap = f64::from(got) / 16_777_216.0 - exact;
                    prop_assert!(gap.abs() < 1e-5, "{gap:e}");
                }
            }
        }
    }

    #[test]
    fn equal_features_give_no_angle() {
        assert_eq!(phases(&[7; QUBITS], Squash::MinMax10), [0; QUBITS]);
    }
}

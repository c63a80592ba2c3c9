//! Logits to probabilities in integers.

use super::exp::exp2_q30;
use super::float::{Inverse, from_q30};
use super::shifted;

/// log2(e) / 2^-8, Q22: the factor from nats to powers of two.
const LOG2_E_Q22: i64 = 6_051_102;

/// Softmax of `logits / temperature`; the logits in Q16, the error of a probability is under 1e-5.
///
/// Writes the front of `probabilities`, as many as there are logits.
pub fn softmax_q16(logits: &[i32], temperature: f32, probabilities: &mut [f32]) {
    let highest = logits.iter().copied().max().unwrap_or(0);
    let by = Inverse::of_f32(temperature);
    let power = |logit: i32| {
        let below = i64::from(highest) - i64::from(logit);
        // Q16 times Q22, as powers of two in Q24.
        exp2_q30(by.times((below * LOG2_E_Q22) >> 6, -32, 24).max(0) as u32)
    };
    // Terms of at most 2^30, one of them 2^30: over as many as there may be, under 2^30 all the same.
    let most_bits = if logits.len() <= 64 { 6 } else { 8 };
    let sum: i64 = logits.iter().map(|&x| i64::from(power(x))).sum();
    let inverse = Inverse::of(shifted(sum, -most_bits).max(1) as u32);
    for (p, &logit) in probabilities.iter_mut().zip(logits) {
        *p = from_q30(inverse.times(i64::from(power(logit)), -most_bits, 30));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn probabilities_are_the_softmax(
            logits in prop::collection::vec(-20.0f64..20.0, 2..64),
            temperature in 0.1f32..8.0,
        ) {
            let fixed: std::vec::Vec<i32> = logits.iter().map(|x| (x * 65_536.0) as i32).collect();
            let mut got = [0.0; 64];
            softmax_q16(&fixed, temperature, &mut got);
            let t = f64::from(temperature);
            let powers = || fixed.iter().map(|&x| libm::exp((f64::from(x) / 65_536.0 - 20.0) / t));
            let sum: f64 = powers().sum();
            for (p, power) in got.into_iter().zip(powers()) {
                prop_assert!((f64::from(p) - power / sum).abs() < 1e-5);
            }
        }
    }

    #[test]
    fn extremes_stay_finite() {
        let mut p = [0.0; 2];
        softmax_q16(&[i32::MAX, i32::MIN], 1e-6, &mut p);
        assert_eq!(p, [1.0, 0.0]);
        softmax_q16(&[i32::MAX, i32::MIN], 1e30, &mut p);
        assert!((p[0] - 0.5).abs() < 1e-6 && (p[1] - 0.5).abs() < 1e-6);
    }
}

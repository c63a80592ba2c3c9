//! Temperature of the softmax: the one that makes the validation texts most probable (arXiv 1706.04599).

use crate::numeric::log_sum_exp;

/// Mean negative log-likelihood of `(logits, class)` pairs at a temperature.
pub fn likelihood_loss(pairs: &[(Vec<f32>, usize)], temperature: f64) -> f64 {
    let one = |(logits, class): &(Vec<f32>, usize)| {
        let scaled: Vec<f64> = logits.iter().map(|&x| f64::from(x) / temperature).collect();
        log_sum_exp(&scaled) - scaled[*class]
    };
    pairs.iter().map(one).sum::<f64>() / pairs.len().max(1) as f64
}

/// The temperature in 0.05..=20 with the least loss, by golden section on its logarithm (the loss is
/// convex in 1/T, so it has one minimum); 1 without pairs.
pub fn temperature(pairs: &[(Vec<f32>, usize)]) -> f32 {
    if pairs.is_empty() {
        return 1.0;
    }
    let golden = (5.0_f64.sqrt() - 1.0) / 2.0;
    let (mut low, mut high) = (0.05_f64.ln(), 20.0_f64.ln());
    let loss = |x: f64| likelihood_loss(pairs, x.exp());
    for _ in 0..60 {
        let (a, b) = (high - golden * (high - low), low + golden * (high - low));
        if loss(a) < loss(b) { high = b } else { low = a }
    }
    ((low + high) / 2.0).exp() as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_temperature_that_fits() {
        // Logits of +-2 in 100 texts of which 73 are right: p = sigmoid(4/T) = 0.73.
        let pairs: Vec<_> = (0..100).map(|i| (vec![2.0, -2.0], usize::from(i >= 73))).collect();
        let expected = 4.0 / (0.73_f64 / 0.27).ln();
        assert!((f64::from(temperature(&pairs)) - expected).abs() < 1e-3);
        assert_eq!(temperature(&[]), 1.0);
    }
}

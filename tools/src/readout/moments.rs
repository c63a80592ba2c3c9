//! Mean of a vector over shots, and the covariance of that mean.

/// The mean of weighted vectors of one length and the covariance of the mean, row by row.
///
/// The covariance is the unbiased sample covariance divided by the number of shots; `samples` are
/// (value, times seen), together at least two.
pub fn moments(samples: &[(Vec<f64>, u64)]) -> (Vec<f64>, Vec<Vec<f64>>) {
    let length = samples.first().map_or(0, |s| s.0.len());
    let shots = samples.iter().map(|s| s.1 as f64).sum::<f64>();
    let mut mean = vec![0.0; length];
    for (value, n) in samples {
        mean.iter_mut().zip(value).for_each(|(m, v)| *m += v * *n as f64 / shots);
    }
    let mut covariance = vec![vec![0.0; length]; length];
    let scale = 1.0 / (shots * (shots - 1.0));
    for (value, n) in samples {
        let off: Vec<f64> = value.iter().zip(&mean).map(|(v, m)| v - m).collect();
        for (row, a) in covariance.iter_mut().zip(&off) {
            row.iter_mut().zip(&off).for_each(|(c, b)| *c += *n as f64 * a * b * scale);
        }
    }
    (mean, covariance)
}

/// Standard errors of a mean whose covariance is given: the square roots of its diagonal.
pub fn standard_errors(covariance: &[Vec<f64>]) -> Vec<f64> {
    covariance.iter().enumerate().map(|(i, row)| row[i].max(0.0).sqrt()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_worked_by_hand() {
        let samples = [(vec![1.0, 0.0], 2), (vec![-1.0, 3.0], 1)];
        let (mean, covariance) = moments(&samples);
        let near = |a: f64, b: f64| assert!((a - b).abs() < 1e-15, "{a} and {b}");
        near(mean[0], 1.0 / 3.0);
        near(mean[1], 1.0);
        // Sample variances 4/3 and 3, covariance -2, each over three shots.
        near(covariance[0][0], 4.0 / 9.0);
        near(covariance[1][1], 1.0);
        near(covariance[0][1], -2.0 / 3.0);
        near(standard_errors(&covariance)[0], 2.0 / 3.0);
    }
}

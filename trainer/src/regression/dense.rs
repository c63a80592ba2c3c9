//! Multinomial logistic regression with L2 penalty, f64, deterministic: the linear probe's core.
//!
//! Minimises `sum_i w_i * CE(t_i, softmax(W x_i + b)) / sum_i w_i + penalty / 2 * |W|^2` over weights W and biases b
//! (biases are free). Targets are distributions, so that soft labels fit too.

use rayon::prelude::*;

use crate::regression::lbfgs::{Outcome, minimise};

/// Rows of one parallel piece of work.
const ROWS_A_CHUNK: usize = 256;
/// Largest gradient entry at which a fit counts as done; log-probabilities have settled to two digits by then.
const TOLERANCE: f64 = 1e-5;
const ITERATIONS: usize = 300;

#[derive(Debug, Clone, PartialEq, Default)]
pub struct Matrix {
    pub columns: usize,
    /// rows x columns.
    pub values: Vec<f64>,
}

impl Matrix {
    pub fn rows(&self) -> usize {
        self.values.len().checked_div(self.columns).unwrap_or(0)
    }

    pub fn row(&self, i: usize) -> &[f64] {
        &self.values[i * self.columns..(i + 1) * self.columns]
    }

    /// The rows of the given numbers, in that order.
    pub fn select(&self, rows: &[usize]) -> Self {
        Self {
            columns: self.columns,
            values: rows.iter().flat_map(|&i| self.row(i)).copied().collect(),
        }
    }
}

/// A fitted model: `classes` x (`columns` + 1) parameters, the bias last.
#[derive(Debug, Clone, PartialEq)]
pub struct Logistic {
    classes: usize,
    columns: usize,
    parameters: Vec<f64>,
}

impl Logistic {
    /// All parameters zero: every class equally likely.
    pub fn zero(classes: usize, columns: usize) -> Self {
        Self { classes, columns, parameters: vec![0.0; classes * (columns + 1)] }
    }

    /// Fits by L-BFGS, starting from the present parameters (a warm start along a path of penalties).
    ///
    /// `targets` is rows x classes, each row a distribution; `weights` one non-negative number a row.
    pub fn fit(&mut self, x: &Matrix, targets: &[f64], weights: &[f64], penalty: f64) -> Outcome {
        let total: f64 = weights.iter().sum();
        let shape = (self.classes, self.columns);
        minimise(&mut self.parameters, TOLERANCE, ITERATIONS, |parameters, gradient| {
            // Chunks run on all cores and are added in order: the sum does not depend on the number of threads.
            let parts: Vec<(f64, Vec<f64>)> = (0..x.rows().div_ceil(ROWS_A_CHUNK))
                .into_par_iter()
                .map(|chunk| {
                    let rows = chunk * ROWS_A_CHUNK..((chunk + 1) * ROWS_A_CHUNK).min(x.rows());
                    loss_of_rows(parameters, shape, x, targets, weights, rows)
                })
                .collect();
            gradient.fill(0.0);
            let mut value = 0.0;
            for (part, slope) in parts {
                value += part / total;
                gradient.iter_mut().zip(slope).for_each(|(g, s)| *g += s / total);
            }
            let stride = shape.1 + 1;
            for (g, p) in gradient.chunks_exact_mut(stride).zip(parameters.chunks_exact(stride)) {
                for (g, p) in g[..shape.1].iter_mut().zip(p) {
                    value += 0.5 * penalty * p * p;
                    *g += penalty * p;
                }
            }
            value
        })
    }

    pub fn classes(&self) -> usize {
        self.classes
    }

    pub fn log_probabilities(&self, row: &[f64]) -> Vec<f64> {
        let mut logits = vec![0.0; self.classes];
        linear(&self.parameters, row, &mut logits);
        let normaliser = log_sum_exp(&logits);
        logits.iter_mut().for_each(|v| *v -= normaliser);
        logits
    }
}

/// Log of the sum of exponentials, safe for large entries.
pub fn log_sum_exp(values: &[f64]) -> f64 {
    let top = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    top + values.iter().map(|v| (v - top).exp()).sum::<f64>().ln()
}

/// Weighted cross-entropy of a range of rows and its gradient, neither divided by the total weight.
fn loss_of_rows(
    parameters: &[f64],
    (classes, columns): (usize, usize),
    x: &Matrix,
    targets: &[f64],
    weights: &[f64],
    rows: std::ops::Range<usize>,
) -> (f64, Vec<f64>) {
    let mut gradient = vec![0.0; parameters.len()];
    let mut logits = vec![0.0; classes];
    let mut value = 0.0;
    for i in rows {
        let row = x.row(i);
        linear(parameters, row, &mut logits);
        let normaliser = log_sum_exp(&logits);
        for (class, &logit) in logits.iter().enumerate() {
            let target = targets[i * classes + class];
            let log_p = logit - normaliser;
            value -= weights[i] * target * log_p;
            let error = weights[i] * (log_p.exp() - target);
            let g = &mut gradient[class * (columns + 1)..(class + 1) * (columns + 1)];
            g[..columns].iter_mut().zip(row).for_each(|(g, x)| *g += error * x);
            g[columns] += error;
        }
    }
    (value, gradient)
}

fn linear(parameters: &[f64], row: &[f64], logits: &mut [f64]) {
    let stride = row.len() + 1;
    for (logit, p) in logits.iter_mut().zip(parameters.chunks_exact(stride)) {
        // Four running sums, added in a fixed order: quicker than one chain and still deterministic.
        let mut sums = [0.0; 4];
        let (head, tail) = row.split_at(row.len() & !3);
        for (x, w) in head.chunks_exact(4).zip(p.chunks_exact(4)) {
            for k in 0..4 {
                sums[k] += x[k] * w[k];
            }
        }
        let rest: f64 = tail.iter().zip(&p[head.len()..]).map(|(x, w)| x * w).sum();
        *logit = (sums[0] + sums[1]) + (sums[2] + sums[3]) + rest + p[row.len()];
    }
}

#[cfg(test)]
mod tests {
    use super::{Logistic, Matrix, log_sum_exp};

    /// Three clouds in the plane with overlap, from a small linear congruential generator.
    fn clouds(n: usize) -> (Matrix, Vec<usize>) {
        let mut state = 1u64;
        let mut next = || {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (state >> 40) as f64 / (1u64 << 24) as f64 - 0.5
        };
        let centres = [(0.0, 1.0), (1.0, 0.0), (-1.0, -0.5)];
        let labels: Vec<usize> = (0..n).map(|i| i % 3).collect();
        let values = labels
            .iter()
            .flat_map(|&c| [centres[c].0 + 1.6 * next(), centres[c].1 + 1.6 * next()])
            .collect();
        (Matrix { columns: 2, values }, labels)
    }

    fn one_hot(labels: &[usize], classes: usize) -> Vec<f64> {
        labels
            .iter()
            .flat_map(|&l| (0..classes).map(move |c| f64::from(u8::from(c == l))))
            .collect()
    }

    #[test]
    fn gradient_vanishes_at_the_fit() {
        let (x, labels) = clouds(600);
        let mut model = Logistic::zero(3, 2);
        let end = model.fit(&x, &one_hot(&labels, 3), &[1.0; 600], 1e-2);
        assert!(end.gradient <= 1e-5, "{end:?}");
        // At the minimum of the penalised loss, weights = mean of (target - p) x / penalty, class by class.
        for class in 0..3 {
            let mut sums = [0.0; 2];
            for (i, &label) in labels.iter().enumerate() {
                let p = model.log_probabilities(x.row(i))[class].exp();
                let error = f64::from(u8::from(label == class)) - p;
                sums.iter_mut().zip(x.row(i)).for_each(|(s, x)| *s += error * x / 600.0);
            }
            for (k, sum) in sums.iter().enumerate() {
                let weight = model.parameters[class * 3 + k];
                assert!(
                    (weight - sum / 1e-2).abs() < 2e-3,
                    "class {class}: {weight} against {}",
                    sum / 1e-2
                );
            }
        }
    }

    #[test]
    fn recovers_the_clouds_and_is_deterministic() {
        let (x, labels) = clouds(900);
        let fit = || {
            let mut model = Logistic::zero(3, 2);
            model.fit(&x, &one_hot(&labels, 3), &[1.0; 900], 1e-3);
            model
        };
        let model = fit();
        let right = (0..900)
            .filter(|&i| {
                let p = model.log_probabilities(x.row(i));
                assert!(log_sum_exp(&p).abs() < 1e-12);
                (0..3).all(|c| p[c] <= p[labels[i]])
            })
            .count();
        assert!(right > 780, "{right} of 900");
        assert_eq!(model, fit());
    }

    #[test]
    fn a_row_of_weight_two_counts_as_two_rows() {
        let (x, labels) = clouds(30);
        let twice: Vec<usize> = (0..30).chain([4, 7]).collect();
        let mut doubled = Logistic::zero(3, 2);
        doubled.fit(
            &x.select(&twice),
            &one_hot(&twice.iter().map(|&i| labels[i]).collect::<Vec<_>>(), 3),
            &[1.0; 32],
            0.1,
        );
        let mut weights = [1.0; 30];
        (weights[4], weights[7]) = (2.0, 2.0);
        let mut weighted = Logistic::zero(3, 2);
        weighted.fit(&x, &one_hot(&labels, 3), &weights, 0.1);
        for i in 0..30 {
            for (a, b) in
                doubled.log_probabilities(x.row(i)).iter().zip(weighted.log_probabilities(x.row(i)))
            {
                assert!((a - b).abs() < 1e-3, "{a} {b}");
            }
        }
    }
}

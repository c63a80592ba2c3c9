//! Multinomial logistic regression with L2 penalty, f64, deterministic: the linear probe's core.
//!
//! Minimises `sum_i w_i * CE(t_i, softmax(W x_i + b)) / sum_i w_i + penalty / 2 * |W|^2` over weights W and biases b
//! (biases are free). Targets are distributions, so that soft labels fit too.

use super::lbfgs::{Outcome, minimise};

/// Rows of features, row-major.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Matrix {
    /// Numbers a row.
    pub columns: usize,
    /// rows x columns.
    pub values: Vec<f64>,
}

impl Matrix {
    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.values.len().checked_div(self.columns).unwrap_or(0)
    }

    /// One row.
    pub fn row(&self, i: usize) -> &[f64] {
        &self.values[i * self.columns..(i + 1) * self.columns]
    }

    /// The rows of the given numbers, in that order.
    pub fn select(&self, rows: &[usize]) -> Self {
        Self { columns: self.columns, values: rows.iter().flat_map(|&i| self.row(i)).copied().collect() }
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
        let (classes, columns) = (self.classes, self.columns);
        let mut logits = vec![0.0; classes];
        minimise(&mut self.parameters, 1e-6, 300, |parameters, gradient| {
            gradient.fill(0.0);
            let mut value = 0.0;
            for (i, (target, &weight)) in targets.chunks_exact(classes).zip(weights).enumerate() {
                let row = x.row(i);
                linear(parameters, row, &mut logits);
                let normaliser = log_sum_exp(&logits);
                let share = weight / total;
                for (class, (&t, &logit)) in target.iter().zip(&logits).enumerate() {
                    let log_p = logit - normaliser;
                    value -= share * t * log_p;
                    let error = share * (log_p.exp() - t);
                    let g = &mut gradient[class * (columns + 1)..(class + 1) * (columns + 1)];
                    g[..columns].iter_mut().zip(row).for_each(|(g, x)| *g += error * x);
                    g[columns] += error;
                }
            }
            for (g, p) in gradient.chunks_exact_mut(columns + 1).zip(parameters.chunks_exact(columns + 1)) {
                for (g, p) in g[..columns].iter_mut().zip(p) {
                    value += 0.5 * penalty * p * p;
                    *g += penalty * p;
                }
            }
            value
        })
    }

    /// Log-probabilities of one row.
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

//! Logistic regression with an L2 penalty on sparse rows.
//!
//! Minimises `mean(weight * loss) + |w|^2 / (2 C n)`, the intercepts unpenalised: scikit-learn's
//! `LogisticRegression(C)` with sample weights. Two classes share one weight a feature (sigmoid), more have one each
//! (softmax). Rows and columns are worked on in parallel, but every sum has one fixed order, so
//! the number of threads does not change a bit of the result.

use rayon::prelude::*;

use crate::regression::lbfgs;
use crate::regression::sparse::Sparse;

#[derive(Debug, Clone, Copy)]
pub(crate) struct Stop {
    /// Largest component of the gradient at which the minimum counts as found.
    pub(crate) gradient: f64,
    pub(crate) iterations: usize,
}

pub(crate) struct Logistic {
    /// Weights per feature: 1 for two classes, otherwise one a class.
    outputs: usize,
    /// `weights[feature * outputs + output]`
    weights: Vec<f32>,
    intercepts: Vec<f32>,
}

/// What is minimised: the rows by row and by column, and their classes.
struct Objective<'a> {
    rows: &'a Sparse,
    columns: Sparse,
    truth: &'a [usize],
    weights: &'a [f64],
    outputs: usize,
    /// `1 / (C n)`
    penalty: f64,
}

impl Logistic {
    /// Fits rows to their classes; also tells whether the minimum was found within the steps allowed.
    pub(crate) fn fit(
        rows: &Sparse,
        (truth, weights): (&[usize], &[f64]),
        classes: usize,
        c: f64,
        stop: Stop,
    ) -> (Self, bool) {
        let objective = Objective::new(rows, (truth, weights), classes, c);
        let mut x = vec![0.0; (rows.width() + 1) * objective.outputs];
        let end =
            lbfgs::minimise(&mut x, stop.gradient, stop.iterations, |x, g| objective.at(x, g));
        #[allow(clippy::cast_possible_truncation)]
        let mut weights: Vec<f32> = x.iter().map(|&w| w as f32).collect();
        let intercepts = weights.split_off(rows.width() * objective.outputs);
        let fitted = Self { outputs: objective.outputs, weights, intercepts };
        (fitted, end.gradient <= stop.gradient)
    }

    /// Probabilities of the classes for one row.
    pub(crate) fn predict(&self, row: &[(u32, f32)]) -> Vec<f32> {
        let mut z: Vec<f64> = self.intercepts.iter().map(|&b| f64::from(b)).collect();
        for &(column, x) in row {
            let start = column as usize * self.outputs;
            for (z, &w) in z.iter_mut().zip(&self.weights[start..]) {
                *z += f64::from(x) * f64::from(w);
            }
        }
        let p = if self.outputs == 1 {
            let one = sigmoid(z[0]);
            vec![1.0 - one, one]
        } else {
            softmax(&mut z);
            z
        };
        #[allow(clippy::cast_possible_truncation)]
        p.into_iter().map(|p| p as f32).collect()
    }

    pub(crate) fn parameters(&self) -> usize {
        self.weights.len() + self.intercepts.len()
    }
}

impl<'a> Objective<'a> {
    fn new(
        rows: &'a Sparse,
        (truth, weights): (&'a [usize], &'a [f64]),
        classes: usize,
        c: f64,
    ) -> Self {
        Self {
            columns: rows.transposed(),
            rows,
            truth,
            weights,
            outputs: if classes == 2 { 1 } else { classes },
            penalty: 1.0 / (c * count(truth.len())),
        }
    }

    /// Value and gradient at parameters laid out as `weights` of [`Logistic`], then intercepts.
    fn at(&self, x: &[f64], gradient: &mut [f64]) -> f64 {
        let k = self.outputs;
        let (weights, intercepts) = x.split_at(self.rows.width() * k);
        let share = 1.0 / count(self.rows.height());

        // Per row: the loss, and the share of its slope against each output.
        let mut slopes = vec![0.0; self.rows.height() * k];
        let mut losses = vec![0.0; self.rows.height()];
        slopes.par_chunks_mut(k).zip(&mut losses).enumerate().for_each(|(i, (z, loss))| {
            z.copy_from_slice(intercepts);
            for &(column, value) in self.rows.row(i) {
                let start = column as usize * k;
                for (z, w) in z.iter_mut().zip(&weights[start..start + k]) {
                    *z += f64::from(value) * w;
                }
            }
            *loss = self.weights[i] * loss_and_slope(z, self.truth[i]);
            z.iter_mut().for_each(|z| *z *= self.weights[i] * share);
        });

        let (by_weight, by_intercept) = gradient.split_at_mut(self.rows.width() * k);
        by_weight.par_chunks_mut(k).zip(weights.par_chunks(k)).enumerate().for_each(
            |(j, (g, w))| {
                for (g, w) in g.iter_mut().zip(w) {
                    *g = self.penalty * w;
                }
                for &(row, value) in self.columns.row(j) {
                    let start = row as usize * k;
                    for (g, slope) in g.iter_mut().zip(&slopes[start..start + k]) {
                        *g += f64::from(value) * slope;
                    }
                }
            },
        );
        by_intercept.fill(0.0);
        for slopes in slopes.chunks(k) {
            for (g, slope) in by_intercept.iter_mut().zip(slopes) {
                *g += slope;
            }
        }
        let loss: f64 = losses.iter().sum();
        let square: f64 = weights.iter().map(|w| w * w).sum();
        share * loss + 0.5 * self.penalty * square
    }
}

/// Turns outputs into the loss's slope against them, returns the loss.
fn loss_and_slope(z: &mut [f64], truth: usize) -> f64 {
    if let [z] = z {
        // log(1 + e^z) - truth z, without overflow.
        let y = if truth == 1 { 1.0 } else { 0.0 };
        let loss = z.max(0.0) + (-z.abs()).exp().ln_1p() - y * *z;
        *z = sigmoid(*z) - y;
        loss
    } else {
        let own = z[truth];
        let log_sum = softmax(z);
        z[truth] -= 1.0;
        log_sum - own
    }
}

fn sigmoid(z: f64) -> f64 {
    1.0 / (1.0 + (-z).exp())
}

/// Softmax in place; returns the logarithm of the sum of exponentials.
fn softmax(z: &mut [f64]) -> f64 {
    let most = z.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let mut sum = 0.0;
    for z in z.iter_mut() {
        *z = (*z - most).exp();
        sum += *z;
    }
    z.iter_mut().for_each(|z| *z /= sum);
    most + sum.ln()
}

#[allow(clippy::cast_precision_loss)]
fn count(n: usize) -> f64 {
    n as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    const STOP: Stop = Stop { gradient: 1e-9, iterations: 500 };

    #[test]
    fn two_classes_meet_the_closed_condition() {
        // Rows +1 and -1 of opposite classes: the intercept is 0, and the weight solves
        // sigmoid(-w) = w / (C n).
        let rows = Sparse::new(&[vec![(0, 1.0)], vec![(0, -1.0)]], 1);
        for c in [0.5, 1.0, 10.0] {
            let (fitted, converged) = Logistic::fit(&rows, (&[1, 0], &[1.0; 2]), 2, c, STOP);
            assert!(converged);
            let w = f64::from(fitted.weights[0]);
            assert!((sigmoid(-w) - w / (2.0 * c)).abs() < 1e-6, "C {c}: w {w}");
            assert!(fitted.intercepts[0].abs() < 1e-6);
            let p = fitted.predict(&[(0, 1.0)]);
            assert!((f64::from(p[1]) - sigmoid(w)).abs() < 1e-6);
        }
    }

    #[test]
    fn intercepts_alone_learn_the_class_shares() {
        let rows = Sparse::new(&vec![Vec::new(); 8], 0);
        let truth = [0, 0, 0, 0, 1, 1, 2, 2];
        let (fitted, _) = Logistic::fit(&rows, (&truth, &[1.0; 8]), 3, 1.0, STOP);
        for (p, share) in fitted.predict(&[]).iter().zip([0.5, 0.25, 0.25]) {
            assert!((p - share).abs() < 1e-6);
        }
        let (fitted, _) =
            Logistic::fit(&rows, (&[1, 1, 1, 0, 0, 1, 1, 1], &[1.0; 8]), 2, 1.0, STOP);
        assert!((fitted.predict(&[])[1] - 0.75).abs() < 1e-6);
    }

    #[test]
    fn gradient_is_the_slope_of_the_value() {
        let rows = Sparse::new(&[vec![(0, 0.5), (1, 1.0)], vec![(1, -0.3)], vec![(0, 2.0)]], 2);
        for (classes, truth) in [(2, [0, 1, 1]), (3, [0, 2, 1])] {
            let objective = Objective::new(&rows, (&truth, &[1.0, 0.5, 2.0]), classes, 0.7);
            let length = 3 * objective.outputs;
            let x: Vec<f64> = (0..length).map(|i| (count(i) * 1.7).sin()).collect();
            let mut gradient = vec![0.0; length];
            objective.at(&x, &mut gradient);
            let mut unused = vec![0.0; length];
            for i in 0..length {
                let mut value = |d: f64| {
                    let mut x = x.clone();
                    x[i] += d;
                    objective.at(&x, &mut unused)
                };
                let slope = (value(1e-5) - value(-1e-5)) / 2e-5;
                assert!((slope - gradient[i]).abs() < 1e-9, "parameter {i}");
            }
        }
    }
}

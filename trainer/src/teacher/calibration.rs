//! Judging, calibrating and averaging tables of log-probabilities: accuracy, loss, temperature.

use crate::numeric::{argmax, golden_section, log_sum_exp};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Labels {
    pub of: Vec<usize>,
    pub classes: usize,
}

impl Labels {
    pub fn select(&self, rows: &[usize]) -> Vec<usize> {
        rows.iter().map(|&i| self.of[i]).collect()
    }
}

/// A table of log-probabilities as logits, one row a text.
pub fn rows(table: &[f64], classes: usize) -> Vec<Vec<f32>> {
    table.chunks_exact(classes).map(|row| row.iter().map(|&v| v as f32).collect()).collect()
}

/// Accuracy and mean negative log-probability of the true class.
pub fn judge(log_probabilities: &[f64], labels: &Labels) -> (f64, f64) {
    let rows = log_probabilities.chunks_exact(labels.classes).zip(&labels.of);
    let n = labels.of.len().max(1) as f64;
    let right = rows.clone().filter(|(row, label)| argmax(row) == **label).count();
    let loss = rows.map(|(row, &label)| -row[label]).sum::<f64>();
    (right as f64 / n, loss / n)
}

pub struct Calibrated {
    pub table: Vec<f64>,
    pub temperature: f64,
    pub accuracy: f64,
    /// Mean negative log-probability of the true class, nats.
    pub loss: f64,
}

impl Calibrated {
    pub fn new(table: &[f64], labels: &Labels) -> Self {
        let temperature = temperature(table, labels);
        let table = cool(table, labels.classes, temperature);
        let (accuracy, loss) = judge(&table, labels);
        Self { table, temperature, accuracy, loss }
    }
}

/// The loss of every row of a table at its best temperature.
pub fn losses(table: &[f64], labels: &Labels) -> Vec<f64> {
    let calibrated = cool(table, labels.classes, temperature(table, labels));
    let rows = calibrated.chunks_exact(labels.classes).zip(&labels.of);
    rows.map(|(row, &label)| -row[label]).collect()
}

/// True when the mean of `a` exceeds that of `b` by no more than the standard error of the difference, row by row:
/// the labels at hand cannot tell the two apart.
pub fn as_good_as(a: &[f64], b: &[f64]) -> bool {
    let n = a.len().max(2) as f64;
    let mean = a.iter().zip(b).map(|(a, b)| a - b).sum::<f64>() / n;
    let square = |(a, b): (&f64, &f64)| (a - b - mean).powi(2);
    let variance = a.iter().zip(b).map(square).sum::<f64>() / (n - 1.0);
    mean <= (variance / n).sqrt()
}

/// Divides logits by a temperature and normalises every row to log-probabilities.
pub fn cool(table: &[f64], classes: usize, temperature: f64) -> Vec<f64> {
    let mut out: Vec<f64> = table.iter().map(|v| v / temperature).collect();
    for row in out.chunks_exact_mut(classes) {
        let normaliser = log_sum_exp(row);
        row.iter_mut().for_each(|v| *v -= normaliser);
    }
    out
}

/// Mean of several tables of log-probabilities, normalised again row by row.
pub fn average(tables: &[impl AsRef<[f64]>], classes: usize) -> Vec<f64> {
    let mut sum = vec![0.0; tables.first().map_or(0, |t| t.as_ref().len())];
    for table in tables {
        sum.iter_mut().zip(table.as_ref()).for_each(|(s, v)| *s += v / tables.len() as f64);
    }
    cool(&sum, classes, 1.0)
}

/// The temperature in [1/8, 8] that minimises the loss, by golden section on its logarithm (the loss is convex in the
/// inverse temperature, so there is one minimum).
pub fn temperature(table: &[f64], labels: &Labels) -> f64 {
    let loss = |t: f64| judge(&cool(table, labels.classes, t.exp()), labels).1;
    golden_section(-(8f64.ln()), 8f64.ln(), 40, |a, b| loss(a) <= loss(b)).exp()
}

/// Weight of a labelled row beside rows of the pool.
const LABELLED_WEIGHT: f64 = 3.0;

/// Classes and weights of labelled rows, then of a pool's: its rows count for the class that their log-probabilities
/// take them for, by the square of its probability.
pub fn with_pool(labelled: &[usize], pool: &[f64], classes: usize) -> (Vec<usize>, Vec<f64>) {
    let (mut truth, mut weights) = (labelled.to_vec(), vec![LABELLED_WEIGHT; labelled.len()]);
    for row in pool.chunks_exact(classes) {
        let top = argmax(row);
        truth.push(top);
        weights.push((2.0 * row[top]).exp());
    }
    (truth, weights)
}

#[cfg(test)]
mod tests {
    use super::{Labels, argmax, as_good_as, cool, judge, temperature};

    #[test]
    fn temperature_restores_what_was_sharpened() {
        // Right 80% of the time and saying so is calibrated; sharpening by 3 asks for a temperature of 3.
        let labels = Labels { of: (0..40).map(|i| i % 2).collect(), classes: 2 };
        let said = |i: usize| {
            if i.is_multiple_of(5) { 1 - i % 2 } else { i % 2 }
        };
        let honest: Vec<f64> = (0..40)
            .flat_map(|i| [0, 1].map(|c| if c == said(i) { 0.8f64.ln() } else { 0.2f64.ln() }))
            .collect();
        assert!((temperature(&honest, &labels) - 1.0).abs() < 1e-3);
        let sharp = cool(&honest, 2, 1.0 / 3.0);
        assert!((temperature(&sharp, &labels) - 3.0).abs() < 1e-2);
        let (accuracy, loss) = judge(&honest, &labels);
        assert!((accuracy - 0.8).abs() < 1e-12);
        assert!((loss + 0.8 * 0.8f64.ln() + 0.2 * 0.2f64.ln()).abs() < 1e-12, "{loss}");
    }

    #[test]
    fn a_difference_counts_only_when_the_rows_agree_on_it() {
        let base: Vec<f64> = (0..100).map(|i| f64::from(i % 7)).collect();
        let steady: Vec<f64> = base.iter().map(|v| v + 0.1).collect();
        assert!(!as_good_as(&steady, &base) && as_good_as(&base, &steady));
        let noisy: Vec<f64> =
            (0..100).map(|i| base[i] + if i % 2 == 0 { 3.0 } else { -2.8 }).collect();
        assert!(as_good_as(&noisy, &base) && as_good_as(&base, &noisy));
    }

    #[test]
    fn the_first_of_equals_is_best() {
        assert_eq!(argmax(&[-2.0, -1.0, -1.0]), 1);
    }
}

//! Linear probes: standardised features, a penalty path, and what cross-validation says of each cell.

use rayon::prelude::*;
use serde::Serialize;

use crate::regression::dense::{Logistic, Matrix};
use crate::teacher::calibration::{Labels, as_good_as, cool, judge, losses, temperature};

/// Penalties tried, strongest first so that each fit starts from the one before. Features are scaled to about unit
/// length, which gives the same range a meaning for every width.
pub const PENALTIES: [f64; 6] = [1e-2, 3e-3, 1e-3, 3e-4, 1e-4, 3e-5];

/// Shift and scale that give every column mean 0 and variance `1 / columns`.
#[derive(Debug, Clone, PartialEq)]
pub struct Scaler {
    mean: Vec<f64>,
    factor: Vec<f64>,
}

impl Scaler {
    /// Measures rows of `columns` numbers. Needs no labels, so any texts of the domain will do.
    pub fn measure(values: &[f32], columns: usize) -> Self {
        let rows = (values.len() / columns.max(1)).max(1) as f64;
        let mut mean = vec![0.0; columns];
        for row in values.chunks_exact(columns) {
            mean.iter_mut().zip(row).for_each(|(m, &v)| *m += f64::from(v) / rows);
        }
        let mut variance = vec![0.0; columns];
        for row in values.chunks_exact(columns) {
            for ((s, &v), m) in variance.iter_mut().zip(row).zip(&mean) {
                *s += (f64::from(v) - m).powi(2) / rows;
            }
        }
        let typical = variance.iter().sum::<f64>() / columns as f64;
        // A column that never moves says nothing; dividing by its rounding noise would make it shout.
        let factor = |&v: &f64| {
            if v > 1e-10 * typical { 1.0 / (v * columns as f64).sqrt() } else { 0.0 }
        };
        Self { factor: variance.iter().map(factor).collect(), mean }
    }

    pub fn apply(&self, values: &[f32]) -> Matrix {
        let scale = |row: &[f32]| {
            let scaled = row
                .iter()
                .zip(&self.mean)
                .zip(&self.factor)
                .map(|((&v, m), f)| (f64::from(v) - m) * f);
            scaled.collect::<Vec<f64>>()
        };
        let columns = self.mean.len();
        Matrix { columns, values: values.chunks_exact(columns).flat_map(scale).collect() }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Trial {
    pub penalty: f64,
    /// Share of rows predicted right while held out.
    pub accuracy: f64,
    /// Mean negative log-probability of the true class while held out, in nats, at the best temperature: a strong
    /// penalty makes a probe timid, which the temperature mends, and must not be counted against it.
    pub loss: f64,
    /// Log-probabilities of every row while held out, rows x classes.
    #[serde(skip)]
    pub held_out: Vec<f64>,
}

/// Fits the whole penalty path once a fold and predicts each row by the model that did not see it.
pub fn cross_validate(x: &Matrix, labels: &Labels, fold: &[usize]) -> Vec<Trial> {
    let folds = fold.iter().max().map_or(0, |f| f + 1);
    let classes = labels.classes;
    let parts: Vec<Vec<(usize, Vec<Vec<f64>>)>> = (0..folds)
        .into_par_iter()
        .map(|held| {
            let inside: Vec<usize> = (0..fold.len()).filter(|&i| fold[i] != held).collect();
            let outside: Vec<usize> = (0..fold.len()).filter(|&i| fold[i] == held).collect();
            let (train, targets) = (x.select(&inside), labels.one_hot(&inside));
            let weights = vec![1.0; inside.len()];
            let mut model = Logistic::zero(classes, x.columns);
            let mut rows: Vec<(usize, Vec<Vec<f64>>)> =
                outside.iter().map(|&i| (i, Vec::new())).collect();
            for penalty in PENALTIES {
                model.fit(&train, &targets, &weights, penalty);
                for (i, path) in &mut rows {
                    path.push(model.log_probabilities(x.row(*i)));
                }
            }
            rows
        })
        .collect();
    let mut held_out = vec![vec![0.0; fold.len() * classes]; PENALTIES.len()];
    for (i, path) in parts.into_iter().flatten() {
        for (table, row) in held_out.iter_mut().zip(path) {
            table[i * classes..(i + 1) * classes].copy_from_slice(&row);
        }
    }
    let trial = |(penalty, held_out): (f64, Vec<f64>)| {
        let calibrated = cool(&held_out, labels.classes, temperature(&held_out, labels));
        let (accuracy, loss) = judge(&calibrated, labels);
        Trial { penalty, accuracy, loss, held_out }
    };
    PENALTIES.into_iter().zip(held_out).map(trial).collect()
}

/// The strongest penalty that the labels cannot tell from the best one; `trials` as [`cross_validate`] gives them. On
/// a hundred labels the held-out loss is nearly flat towards weak penalties, and the weakest generalise worst.
pub fn choose(trials: Vec<Trial>, labels: &Labels) -> Option<Trial> {
    let lowest = trials.iter().min_by(|a, b| a.loss.total_cmp(&b.loss))?;
    let best = losses(&lowest.held_out, labels);
    let strongest = trials.iter().position(|t| as_good_as(&losses(&t.held_out, labels), &best));
    strongest.and_then(|i| trials.into_iter().nth(i))
}

#[cfg(test)]
mod tests {
    use super::{Labels, Scaler, cross_validate};

    #[test]
    fn scaling_gives_unit_rows_and_silences_constant_columns() {
        let values: Vec<f32> =
            (0..400).flat_map(|i| [7.0, (i % 9) as f32, 1000.0 * (i % 5) as f32]).collect();
        let scaled = Scaler::measure(&values, 3).apply(&values);
        for column in 0..3 {
            let of: Vec<f64> = (0..400).map(|i| scaled.row(i)[column]).collect();
            let mean = of.iter().sum::<f64>() / 400.0;
            let variance = of.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / 400.0;
            assert!(mean.abs() < 1e-9, "column {column} has mean {mean}");
            let wanted = if column == 0 { 0.0 } else { 1.0 / 3.0 };
            assert!((variance - wanted).abs() < 1e-9, "column {column} has variance {variance}");
        }
    }

    #[test]
    fn cross_validation_sees_signal_and_does_not_see_noise() {
        // Class = sign of column 0; column 1 is unrelated. Labels of the second problem are unrelated to both.
        let n = 200;
        let values: Vec<f32> =
            (0..n).flat_map(|i| [((i * 37) % 101) as f32 - 50.0, ((i * 53) % 97) as f32]).collect();
        let x = Scaler::measure(&values, 2).apply(&values);
        let fold: Vec<usize> = (0..n).map(|i| (i / 3) % 5).collect();
        let signal =
            Labels { of: (0..n).map(|i| usize::from(values[2 * i] > 0.0)).collect(), classes: 2 };
        let noise = Labels { of: (0..n).map(|i| (i * i / 7) % 2).collect(), classes: 2 };
        let top = |labels| {
            cross_validate(&x, labels, &fold).iter().map(|t| t.accuracy).fold(0.0, f64::max)
        };
        assert!(top(&signal) > 0.95, "{}", top(&signal));
        assert!(top(&noise) < 0.65, "{}", top(&noise));
    }
}

//! Cross-validation of linear probes and of the regression on TF-IDF: stratified folds, standardised features, a penalty
//! path for the probes, the strength of the regression.

use crate::regression::logistic::{Dense, Logistic, Objective, SparseRow};
use crate::regression::tfidf::{Corpus, TfidfOptions};
use crate::teacher::calibration::{Calibrated, Labels, as_good_as, losses};
use anyhow::{Result, bail};
use rayon::prelude::*;
use serde::Serialize;
use sha2::{Digest, Sha256};

/// Penalties tried, strongest first so that each fit starts from the one before. Features are scaled to about unit
/// length, which gives the same range a meaning for every width.
pub const PENALTIES: [f64; 6] = [1e-2, 3e-3, 1e-3, 3e-4, 1e-4, 3e-5];

/// Largest gradient entry at which a probe counts as fitted; log-probabilities have settled to two digits by then.
const TOLERANCE: f64 = 1e-5;
const ITERATIONS: usize = 300;

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

    pub fn apply(&self, values: &[f32]) -> Dense {
        let scale = |row: &[f32]| {
            let scaled = row
                .iter()
                .zip(&self.mean)
                .zip(&self.factor)
                .map(|((&v, m), f)| (f64::from(v) - m) * f);
            scaled.collect::<Vec<f64>>()
        };
        let columns = self.mean.len();
        Dense { columns, values: values.chunks_exact(columns).flat_map(scale).collect() }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Trial {
    pub penalty: f64,
    pub accuracy: f64,
    /// Mean negative log-probability of the true class while held out, in nats, at the best temperature: a strong
    /// penalty makes a probe timid, which the temperature mends, and must not be counted against it.
    pub loss: f64,
    /// Log-probabilities of every row while held out, rows x classes.
    #[serde(skip)]
    pub held_out: Vec<f64>,
}

pub const FOLDS: usize = 5;

/// The fold of every row: each class is dealt evenly over [`FOLDS`] folds, or over as many as its rarest class has rows.
pub fn stratified(
    texts: &[&str],
    labels: &[usize],
    classes: &[String],
    seed: u64,
) -> Result<Vec<usize>> {
    if classes.len() < 2 {
        bail!("a probe needs at least 2 classes, the labels name {}", classes.len());
    }
    let mut ranked: Vec<Vec<([u8; 32], usize)>> = vec![Vec::new(); classes.len()];
    for (i, (text, &label)) in texts.iter().zip(labels).enumerate() {
        let mut hash = Sha256::new_with_prefix(b"qdllm fold");
        hash.update(seed.to_le_bytes());
        hash.update(text.as_bytes());
        ranked[label].push((hash.finalize().into(), i));
    }
    let counts = ranked.iter().map(Vec::len).zip(classes);
    if let Some((count, class)) = counts.clone().min_by_key(|(count, _)| *count)
        && count < 2
    {
        bail!("class `{class}` has {count} labelled text(s), a probe needs at least 2");
    }
    let folds = counts.map(|(count, _)| count).fold(FOLDS, usize::min);
    let mut fold = vec![0; texts.len()];
    for (class, rows) in ranked.iter_mut().enumerate() {
        rows.sort_unstable();
        for (place, &(_, i)) in rows.iter().enumerate() {
            // The class shifts the deal, or every class's odd rows would land in the first folds.
            fold[i] = (place + class) % folds;
        }
    }
    Ok(fold)
}

/// Fold by fold, the rows that are fitted on while it is held out, and its own.
pub fn splits(fold: &[usize]) -> Vec<(Vec<usize>, Vec<usize>)> {
    let count = fold.iter().max().map_or(0, |f| f + 1);
    (0..count).map(|held| (0..fold.len()).partition(|&i| fold[i] != held)).collect()
}

/// Writes `values` to the rows of a table of log-probabilities.
pub fn put(table: &mut [f64], classes: usize, rows: &[usize], values: &[f64]) {
    for (&i, row) in rows.iter().zip(values.chunks_exact(classes)) {
        table[i * classes..(i + 1) * classes].copy_from_slice(row);
    }
}

/// Fits a probe from where it stands; `weights` are one non-negative number a row.
pub fn fit_probe(
    probe: &mut Logistic,
    x: &Dense,
    (truth, weights): (&[usize], &[f64]),
    penalty: f64,
) {
    let share = 1.0 / weights.iter().sum::<f64>();
    let objective = Objective { share, penalty, tolerance: TOLERANCE, iterations: ITERATIONS };
    probe.fit(x, (truth, weights), objective);
}

pub fn table(probe: &Logistic, x: &Dense) -> Vec<f64> {
    (0..x.rows()).flat_map(|i| probe.log_probabilities(x.row(i))).collect()
}

/// Fits the whole penalty path once a fold and predicts each row by the model that did not see it.
pub fn cross_validate(x: &Dense, labels: &Labels, fold: &[usize]) -> Vec<Trial> {
    let classes = labels.classes;
    let path = |(inside, outside): &(Vec<usize>, Vec<usize>)| {
        let (train, test) = (x.select(inside), x.select(outside));
        let (truth, weights) = (labels.select(inside), vec![1.0; inside.len()]);
        let mut probe = Logistic::zero(classes, x.columns);
        PENALTIES.map(|penalty| {
            fit_probe(&mut probe, &train, (&truth, &weights), penalty);
            table(&probe, &test)
        })
    };
    let splits = splits(fold);
    let parts: Vec<[Vec<f64>; PENALTIES.len()]> = splits.par_iter().map(path).collect();
    let trial = |(place, penalty): (usize, f64)| {
        let mut held_out = vec![0.0; fold.len() * classes];
        for ((_, outside), part) in splits.iter().zip(&parts) {
            put(&mut held_out, classes, outside, &part[place]);
        }
        let Calibrated { accuracy, loss, .. } = Calibrated::new(&held_out, labels);
        Trial { penalty, accuracy, loss, held_out }
    };
    PENALTIES.into_iter().enumerate().map(trial).collect()
}

/// The strongest penalty that the labels cannot tell from the best one; `trials` as [`cross_validate`] gives them. On
/// a hundred labels the held-out loss is nearly flat towards weak penalties, and the weakest generalise worst.
pub fn choose(trials: Vec<Trial>, labels: &Labels) -> Option<Trial> {
    let lowest = trials.iter().min_by(|a, b| a.loss.total_cmp(&b.loss))?;
    let best = losses(&lowest.held_out, labels);
    let strongest = trials.iter().position(|t| as_good_as(&losses(&t.held_out, labels), &best));
    strongest.and_then(|i| trials.into_iter().nth(i))
}

/// Inverse penalties of the regression on TF-IDF that are tried.
const STRENGTHS: [f64; 4] = [1.0, 2.0, 4.0, 8.0];
/// Held-out texts that tell the strengths apart; with many labels not every fold is needed for that.
const ENOUGH: usize = 1000;

/// Log-probabilities have settled to two digits at this tolerance.
pub fn tfidf_options(c: f64) -> TfidfOptions {
    TfidfOptions { c, tolerance: 5e-4, iterations: 300 }
}

/// What cross-validation says of the regression on TF-IDF.
pub struct HeldOut {
    /// Inverse penalty with the least loss at its best temperature.
    pub strength: f64,
    /// Log-probabilities of the labelled texts by regressions that did not see them, rows x classes, not yet cooled.
    pub table: Vec<f64>,
    pub temperature: f64,
    pub loss: f64,
}

impl HeldOut {
    /// Tries every strength, on as many of the given folds as tell them apart, and holds every text out for the best.
    pub fn measure(corpus: &Corpus, labels: &Labels, fold: &[usize]) -> Self {
        let splits = splits(fold);
        let all = splits.len();
        let held = |folds: usize| fold.iter().filter(|f| **f < folds).count();
        let few = (1..all).find(|&folds| held(folds) >= ENOUGH).unwrap_or(all);
        // Holds out some more folds, and judges those so far.
        let tried = |more: std::ops::Range<usize>, strength, mut table: Vec<f64>| {
            for (inside, outside) in &splits[more.clone()] {
                let (truth, weights) = (labels.select(inside), vec![1.0; inside.len()]);
                let (truth, options) = ((&truth[..], &weights[..]), tfidf_options(strength));
                let model = corpus.fit(inside, truth, labels.classes, options).0;
                let row = |&i: &usize| logarithms(&model, &corpus.rows[i]);
                let values: Vec<f64> = outside.iter().flat_map(row).collect();
                put(&mut table, labels.classes, outside, &values);
            }
            let held: Vec<usize> = (0..labels.of.len()).filter(|&i| fold[i] < more.end).collect();
            let row = |i: &usize| &table[i * labels.classes..(i + 1) * labels.classes];
            let rows: Vec<f64> = held.iter().flat_map(row).copied().collect();
            let labels = Labels { of: labels.select(&held), classes: labels.classes };
            let Calibrated { temperature, loss, .. } = Calibrated::new(&rows, &labels);
            Self { strength, table, temperature, loss }
        };
        let empty = vec![0.0; labels.of.len() * labels.classes];
        let [first, rest @ ..] = STRENGTHS.map(|strength| tried(0..few, strength, empty.clone()));
        let best = |a: Self, b: Self| if b.loss < a.loss { b } else { a };
        let Self { strength, table, .. } = rest.into_iter().fold(first, best);
        tried(few..all, strength, table)
    }
}

/// Log-probabilities of a row.
pub fn logarithms(model: &Logistic, row: &SparseRow) -> Vec<f64> {
    let log = |p: f32| f64::from(p.max(f32::MIN_POSITIVE)).ln();
    model.probabilities(&row[..]).into_iter().map(log).collect()
}

#[cfg(test)]
mod tests {
    use super::{FOLDS, Labels, Scaler, cross_validate, stratified};

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

    #[test]
    fn every_fold_has_every_class() {
        let texts: Vec<String> = (0..60).map(|i| format!("text {i}")).collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let labels: Vec<usize> = (0..60).map(|i| i % 3).collect();
        let classes = ["a", "b", "c"].map(String::from);
        let fold = stratified(&texts, &labels, &classes, 1).unwrap();
        for f in 0..FOLDS {
            for class in 0..3 {
                let n = (0..60).filter(|&i| fold[i] == f && labels[i] == class).count();
                assert_eq!(n, 4, "fold {f} class {class}");
            }
        }
        assert_ne!(fold, stratified(&texts, &labels, &classes, 2).unwrap());
    }

    #[test]
    fn refuses_what_cannot_be_validated() {
        let classes = ["a", "b"].map(String::from);
        let message =
            stratified(&["x", "y", "z"], &[0, 0, 1], &classes, 1).unwrap_err().to_string();
        assert!(message.contains("`b`"), "{message}");
        assert!(stratified(&["x", "y"], &[0, 0], &classes[..1], 1).is_err());
    }
}

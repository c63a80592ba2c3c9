//! A teacher that is no language model: TF-IDF of words and characters with logistic regression.
//!
//! It knows the words of the task better than a general model does and meaning worse, so the two err on different
//! texts. Its features are counted on labelled and unlabelled texts alike. Labelled texts are judged by regressions that
//! did not see their labels: a student taught by what a regression says of its own training texts learns nothing.

use crate::regression::logistic::{Logistic, SparseRow};
use crate::regression::tfidf::{Corpus, TfidfOptions, size};
use crate::teacher::calibration::{Calibrated, Labels, cool, with_pool};
use crate::teacher::cross_validation::{put, splits};
use crate::teacher::{About, Identity};
use rayon::prelude::*;

const STRENGTHS: [f64; 4] = [1.0, 2.0, 4.0, 8.0];
/// Held-out texts that tell the strengths apart; with many labels not every fold is needed for that.
const ENOUGH: usize = 1000;

/// Log-probabilities have settled to two digits at this tolerance.
fn options(c: f64) -> TfidfOptions {
    TfidfOptions { c, tolerance: 5e-4, iterations: 300 }
}

#[derive(Debug, Clone)]
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
                let (truth, options) = ((&truth[..], &weights[..]), options(strength));
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

pub struct TfidfTeacher {
    corpus: Corpus,
    model: Logistic,
    labels: Labels,
    strength: f64,
    temperature: f64,
    pub about: About,
}

impl TfidfTeacher {
    /// Fits on all labelled texts, the first of the corpus.
    pub fn fit(corpus: Corpus, labels: Labels, classes: &[String], held_out: &HeldOut) -> Self {
        let rows: Vec<usize> = (0..labels.of.len()).collect();
        let weights = vec![1.0; rows.len()];
        let options = options(held_out.strength);
        let model = corpus.fit(&rows, (&labels.of, &weights), labels.classes, options).0;
        let HeldOut { strength, temperature, .. } = *held_out;
        let settings = format!("inverse penalty {strength}, {} columns", corpus.features.width());
        let about = About {
            classes: classes.to_vec(),
            models: vec![Identity { name: "tfidf".into(), digest: "none".into(), settings }],
            method: method(strength, 0),
        };
        Self { corpus, model, labels, strength, temperature, about }
    }

    /// Fits again on the labelled texts and the pool, whose rows count for the class that others take them for, by the
    /// square of their confidence; `pool` is log-probabilities, rows x classes.
    pub fn learn(&mut self, pool: &[f64]) {
        let labelled = self.labels.of.len();
        let (truth, weights) = with_pool(&self.labels.of, pool, self.labels.classes);
        let rows: Vec<usize> = (0..truth.len()).collect();
        let (truth_and_weights, classes) = ((&truth[..], &weights[..]), self.labels.classes);
        self.model = self.corpus.fit(&rows, truth_and_weights, classes, options(self.strength)).0;
        self.about.method = method(self.strength, truth.len() - labelled);
    }

    /// Trained numbers, and bytes with the n-grams' keys and weights.
    pub fn size(&self) -> (usize, usize) {
        size(&self.model, &self.corpus.features)
    }

    /// Log-probabilities of texts, cooled, rows x classes.
    pub fn table(&self, texts: &[&str]) -> Vec<f64> {
        let rows: Vec<Vec<f64>> = texts
            .par_iter()
            .map(|text| logarithms(&self.model, &self.corpus.features.of(text)))
            .collect();
        cool(&rows.concat(), self.labels.classes, self.temperature)
    }
}

fn logarithms(model: &Logistic, row: &SparseRow) -> Vec<f64> {
    let log = |p: f32| f64::from(p.max(f32::MIN_POSITIVE)).ln();
    model.probabilities(&row[..]).into_iter().map(log).collect()
}

/// How the logits come about after a fit on so many texts of the pool.
fn method(strength: f64, pool: usize) -> String {
    let pool = match pool {
        0 => String::new(),
        n => format!(", fitted again on {n} texts as the others label them"),
    };
    format!(
        "logistic regression on TF-IDF of words and characters, inverse penalty {strength}{pool}; labelled texts by held-out regressions"
    )
}

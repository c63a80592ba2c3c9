//! A teacher that is no language model: TF-IDF of words and characters with logistic regression.
//!
//! It knows the words of the task better than a general model does and meaning worse, so the two err on different
//! texts. Its features are counted on labelled and unlabelled texts alike. Labelled texts are judged by regressions that
//! did not see their labels: a student taught by what a regression says of its own training texts learns nothing.

use std::ops::Range;

use rayon::prelude::*;

use crate::regression::logistic::{Logistic, Stop};
use crate::regression::sparse::Sparse;
use crate::regression::tfidf::{Features, Weights};
use crate::teacher::calibration::{Labels, cool, judge, temperature};
use crate::teacher::features::Work;
use crate::teacher::{Identity, Teacher, TeacherError};

const STRENGTHS: [f64; 4] = [1.0, 2.0, 4.0, 8.0];
/// Log-probabilities have settled to two digits by then.
const STOP: Stop = Stop { gradient: 5e-4, iterations: 300 };
/// Texts in which an n-gram must occur.
const LEAST_TEXTS: u32 = 2;
/// Held-out texts that tell the strengths apart; with many labels not every fold is needed for that.
const ENOUGH: usize = 1000;
/// Weight of a labelled row beside pool rows, as for probes.
const LABELLED_WEIGHT: f64 = 3.0;

/// Counted texts: the labelled ones first, then the pool.
pub struct CountedTexts {
    features: Features,
    rows: Vec<Weights>,
}

impl CountedTexts {
    pub fn over(texts: &[&str]) -> Self {
        let (features, rows) = Features::over(texts, LEAST_TEXTS);
        Self { features, rows }
    }

    fn fit(&self, rows: &[usize], truth: &[usize], weights: &[f64], by: (usize, f64)) -> Logistic {
        let chosen: Vec<Weights> = rows.iter().map(|&i| self.rows[i].clone()).collect();
        let matrix = Sparse::new(&chosen, self.features.width());
        Logistic::fit(&matrix, (truth, weights), by.0, by.1, STOP).0
    }
}

/// What cross-validation on the labelled texts says.
#[derive(Debug, Clone)]
pub struct HeldOut {
    /// Inverse penalty with the least loss at its best temperature.
    pub strength: f64,
    /// Log-probabilities of the labelled texts by regressions that did not see them, rows x classes, not yet cooled.
    pub table: Vec<f64>,
    pub temperature: f64,
    pub accuracy: f64,
    /// Mean loss after the temperature, nats.
    pub loss: f64,
}

impl HeldOut {
    /// Tries every strength, on as many of the given folds as tell them apart, and holds every text out for the best.
    pub fn measure(lexicon: &CountedTexts, labels: &Labels, fold: &[usize]) -> Self {
        let all = fold.iter().max().map_or(0, |f| f + 1);
        let held = |folds: usize| fold.iter().filter(|f| **f < folds).count();
        let few = (1..all).find(|&folds| held(folds) >= ENOUGH).unwrap_or(all);
        let tried = |strength| {
            let mut table = vec![0.0; labels.of.len() * labels.classes];
            hold_out(lexicon, labels, (fold, 0..few), strength, &mut table);
            Self::judged(labels, (fold, few), strength, table)
        };
        let [first, rest @ ..] = STRENGTHS.map(tried);
        let best = |a: Self, b: Self| if b.loss < a.loss { b } else { a };
        let Self { strength, mut table, .. } = rest.into_iter().fold(first, best);
        hold_out(lexicon, labels, (fold, few..all), strength, &mut table);
        Self::judged(labels, (fold, all), strength, table)
    }

    /// A table judged by the rows of its first `folds` folds.
    fn judged(
        labels: &Labels,
        (fold, folds): (&[usize], usize),
        strength: f64,
        table: Vec<f64>,
    ) -> Self {
        let held: Vec<usize> = (0..labels.of.len()).filter(|&i| fold[i] < folds).collect();
        let rows = held.iter().flat_map(|i| &table[i * labels.classes..(i + 1) * labels.classes]);
        let rows: Vec<f64> = rows.copied().collect();
        let of = held.iter().map(|&i| labels.of[i]).collect();
        let labels = Labels { of, classes: labels.classes };
        let temperature = temperature(&rows, &labels);
        let (accuracy, loss) = judge(&cool(&rows, labels.classes, temperature), &labels);
        Self { strength, table, temperature, accuracy, loss }
    }
}

/// Fills the rows of some folds with what regressions that did not see them say.
fn hold_out(
    lexicon: &CountedTexts,
    labels: &Labels,
    (fold, folds): (&[usize], Range<usize>),
    strength: f64,
    table: &mut [f64],
) {
    for held in folds {
        let inside: Vec<usize> = (0..fold.len()).filter(|&i| fold[i] != held).collect();
        let truth: Vec<usize> = inside.iter().map(|&i| labels.of[i]).collect();
        let weights = vec![1.0; inside.len()];
        let model = lexicon.fit(&inside, &truth, &weights, (labels.classes, strength));
        for i in (0..fold.len()).filter(|&i| fold[i] == held) {
            let row = logarithms(&model.predict(&lexicon.rows[i]));
            table[i * labels.classes..(i + 1) * labels.classes].copy_from_slice(&row);
        }
    }
}

pub struct TfidfTeacher {
    lexicon: CountedTexts,
    model: Logistic,
    labels: Labels,
    classes: Vec<String>,
    strength: f64,
    temperature: f64,
    taught: usize,
}

impl TfidfTeacher {
    /// Fits on all labelled texts, the first of the lexicon.
    pub fn fit(
        lexicon: CountedTexts,
        labels: Labels,
        classes: &[String],
        held_out: &HeldOut,
    ) -> Self {
        let rows: Vec<usize> = (0..labels.of.len()).collect();
        let weights = vec![1.0; rows.len()];
        let by = (labels.classes, held_out.strength);
        let model = lexicon.fit(&rows, &labels.of, &weights, by);
        Self {
            lexicon,
            model,
            labels,
            classes: classes.to_vec(),
            strength: held_out.strength,
            temperature: held_out.temperature,
            taught: 0,
        }
    }

    /// Fits again on the labelled texts and the pool, whose rows count for the class that others take them for, by the
    /// square of their confidence; `pool` is log-probabilities, rows x classes.
    pub fn learn(&mut self, pool: &[f64]) {
        let labelled = self.labels.of.len();
        let (mut truth, mut weights) = (self.labels.of.clone(), vec![LABELLED_WEIGHT; labelled]);
        for row in pool.chunks_exact(self.labels.classes) {
            let top = crate::teacher::calibration::best(row);
            truth.push(top);
            weights.push((2.0 * row[top]).exp());
        }
        let rows: Vec<usize> = (0..truth.len()).collect();
        let by = (self.labels.classes, self.strength);
        self.model = self.lexicon.fit(&rows, &truth, &weights, by);
        self.taught = truth.len() - labelled;
    }

    /// Trained numbers, and bytes with the n-grams' keys and weights.
    pub fn size(&self) -> (usize, usize) {
        let parameters = self.model.parameters();
        (parameters, 4 * parameters + 12 * self.lexicon.features.width())
    }

    /// Log-probabilities of texts, cooled, rows x classes.
    pub fn table(&self, texts: &[&str]) -> Vec<f64> {
        let rows: Vec<Vec<f64>> = texts
            .par_iter()
            .map(|text| logarithms(&self.model.predict(&self.lexicon.features.of(text))))
            .collect();
        cool(&rows.concat(), self.classes.len(), self.temperature)
    }
}

fn logarithms(probabilities: &[f32]) -> Vec<f64> {
    probabilities.iter().map(|&p| f64::from(p.max(f32::MIN_POSITIVE)).ln()).collect()
}

impl Teacher for TfidfTeacher {
    fn classes(&self) -> &[String] {
        &self.classes
    }

    fn models(&self) -> Vec<Identity> {
        let settings =
            format!("inverse penalty {}, {} columns", self.strength, self.lexicon.features.width());
        vec![Identity { name: "tfidf".into(), digest: "none".into(), settings }]
    }

    fn method(&self) -> String {
        let pool = match self.taught {
            0 => String::new(),
            n => format!(", fitted again on {n} texts as the others label them"),
        };
        format!(
            "logistic regression on TF-IDF of words and characters, inverse penalty {}{pool}; labelled texts by held-out regressions",
            self.strength
        )
    }

    fn prepare(
        &mut self,
        _: &[&str],
        _: &mut dyn FnMut(usize, usize),
    ) -> Result<Vec<Work>, TeacherError> {
        Ok(Vec::new())
    }

    fn logits(&mut self, texts: &[&str]) -> Result<Vec<Vec<f32>>, TeacherError> {
        Ok(crate::teacher::probe::rows(&self.table(texts), self.classes.len()))
    }
}

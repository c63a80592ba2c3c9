//! A teacher that is no language model: TF-IDF of words and characters with logistic regression.
//!
//! It knows the words of the task better than a general model does and meaning worse, so the two err on different
//! texts. Its features are counted on labelled and unlabelled texts alike. Labelled texts are judged by regressions that
//! did not see their labels: a student taught by what a regression says of its own training texts learns nothing.

use crate::regression::logistic::Logistic;
use crate::regression::tfidf::{Corpus, size};
use crate::teacher::calibration::{Labels, cool, with_pool};
use crate::teacher::cross_validation::{HeldOut, logarithms, tfidf_options};
use crate::teacher::{About, Identity};
use rayon::prelude::*;

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
        let options = tfidf_options(held_out.strength);
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
        self.model =
            self.corpus.fit(&rows, truth_and_weights, classes, tfidf_options(self.strength)).0;
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

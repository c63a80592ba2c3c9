//! How good answers are on labelled texts: accuracy, precision, recall, F1,
//! confusion, calibration.
//!
//! Definitions, the same as scikit-learn's unless said otherwise: a text's prediction is its most
//! probable class, the first of equals; a ratio with nothing below the line is 0; macro means are
//! over the classes that occur among the true or the predicted ones; weighted means weigh a class
//! by its number of true texts. The standard error of the accuracy is `sqrt(a (1 - a) / n)`.
//!
//! The expected calibration error cuts the probability of the prediction into [`ECE_BINS`] bins of
//! equal width over [0, 1] and sums `|accuracy - mean probability|` of each bin, weighted by its
//! share of the texts.

use crate::numeric::{argmax, softmax};
use serde::{Deserialize, Serialize};
use std::fmt;

pub const ECE_BINS: usize = 15;

/// Classes up to which the table prints the whole confusion matrix.
const MATRIX_CLASSES: usize = 12;

/// Precision, recall and F1, each in [0, 1].
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Scores {
    /// Of the texts predicted as the class, the share that is of it.
    pub precision: f64,
    /// Of the texts of the class, the share that was predicted as it.
    pub recall: f64,
    pub f1: f64,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ClassScores {
    pub class: String,
    #[serde(flatten)]
    pub scores: Scores,
    pub support: usize,
    pub predicted: usize,
}

/// What a classifier did on a set of labelled texts.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    pub texts: usize,
    pub accuracy: f64,
    pub standard_error: f64,
    pub macro_avg: Scores,
    pub weighted_avg: Scores,
    pub calibration_error: f64,
    /// Scores class by class, in the order of the classes.
    pub per_class: Vec<ClassScores>,
    /// `confusion[t][p]`: texts of class `t` predicted as class `p`.
    pub confusion: Vec<Vec<usize>>,
}

impl Report {
    /// Judges probabilities, one row a text and one number a class, against the true classes.
    ///
    /// # Panics
    /// When there is no text, or rows, truth and classes do not fit each other.
    pub fn from<P: AsRef<[f32]>>(classes: &[String], truth: &[usize], probabilities: &[P]) -> Self {
        assert!(!truth.is_empty(), "a report needs at least one text");
        assert_eq!(truth.len(), probabilities.len(), "one row of probabilities a text");
        let mut confusion = vec![vec![0; classes.len()]; classes.len()];
        // Of each bin: the sum of the probabilities, and how many answers were right.
        let mut bins = [(0.0, 0_usize); ECE_BINS];
        for (&truth, row) in truth.iter().zip(probabilities) {
            let row = row.as_ref();
            assert_eq!(row.len(), classes.len(), "one probability a class");
            let predicted = argmax(row);
            confusion[truth][predicted] += 1;
            let p = f64::from(row[predicted]);
            // The last bin holds 1 too. `as` saturates: anything below 0, and NaN, is bin 0.
            let bin = &mut bins[((p * ECE_BINS as f64) as usize).min(ECE_BINS - 1)];
            *bin = (bin.0 + p, bin.1 + usize::from(predicted == truth));
        }
        let texts = truth.len();
        let right: usize = (0..classes.len()).map(|c| confusion[c][c]).sum();
        let accuracy = ratio(right, texts);
        let per_class: Vec<ClassScores> =
            (0..classes.len()).map(|c| class_scores(&classes[c], c, &confusion)).collect();
        let gap: f64 = bins.iter().map(|&(p, right)| (right as f64 - p).abs()).sum();
        Self {
            texts,
            accuracy,
            standard_error: (accuracy * (1.0 - accuracy) / texts as f64).sqrt(),
            macro_avg: mean(&per_class, |c| f64::from(u8::from(c.support + c.predicted > 0))),
            weighted_avg: mean(&per_class, |c| c.support as f64),
            calibration_error: gap / texts as f64,
            per_class,
            confusion,
        }
    }

    /// As [`Report::from`], of logits.
    pub fn of_logits(classes: &[String], truth: &[usize], logits: &[Vec<f32>]) -> Self {
        let probabilities: Vec<Vec<f32>> = logits.iter().map(|row| softmax(row, 1.0)).collect();
        Self::from(classes, truth, &probabilities)
    }
}

fn class_scores(name: &str, c: usize, confusion: &[Vec<usize>]) -> ClassScores {
    let right = confusion[c][c];
    let support = confusion[c].iter().sum();
    let predicted = confusion.iter().map(|row| row[c]).sum();
    ClassScores {
        class: name.to_owned(),
        scores: Scores {
            precision: ratio(right, predicted),
            recall: ratio(right, support),
            f1: ratio(2 * right, support + predicted),
        },
        support,
        predicted,
    }
}

fn mean(per_class: &[ClassScores], weight: impl Fn(&ClassScores) -> f64) -> Scores {
    let total: f64 = per_class.iter().map(&weight).sum();
    let over = |score: fn(&Scores) -> f64| {
        let sum: f64 = per_class.iter().map(|c| weight(c) * score(&c.scores)).sum();
        sum / total
    };
    Scores { precision: over(|s| s.precision), recall: over(|s| s.recall), f1: over(|s| s.f1) }
}

fn ratio(part: usize, whole: usize) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (accuracy, error, ece) = (self.accuracy, self.standard_error, self.calibration_error);
        writeln!(f, "texts             {}", self.texts)?;
        writeln!(f, "accuracy          {accuracy:.4} (standard error {error:.4})")?;
        writeln!(f, "calibration error {ece:.4} ({ECE_BINS} bins of equal width)\n")?;
        let names = self.per_class.iter().map(|c| c.class.chars().count());
        let width = names.max().unwrap_or(0).max("weighted mean".len());
        writeln!(f, "{:width$}  precision  recall      f1  support", "class")?;
        let of_class = |c: &'_ ClassScores| (c.class.clone(), c.scores, c.support);
        let means = [("macro mean", self.macro_avg), ("weighted mean", self.weighted_avg)];
        let means = means.map(|(name, scores)| (name.to_owned(), scores, self.texts));
        for (name, s, support) in self.per_class.iter().map(of_class).chain(means) {
            let (precision, recall, f1) = (s.precision, s.recall, s.f1);
            writeln!(f, "{name:width$}  {precision:9.4}  {recall:6.4}  {f1:6.4}  {support:7}")?;
        }
        writeln!(f)?;
        if self.per_class.len() <= MATRIX_CLASSES {
            self.write_matrix(f, width)
        } else {
            self.write_confusions(f)
        }
    }
}

impl Report {
    fn write_matrix(&self, f: &mut fmt::Formatter<'_>, width: usize) -> fmt::Result {
        let columns: Vec<usize> = (self.per_class.iter())
            .map(|c| c.class.chars().count().max(c.predicted.to_string().len()))
            .collect();
        let corner = "true \\ predicted";
        let width = width.max(corner.len());
        write!(f, "{corner:width$}")?;
        for (c, w) in self.per_class.iter().zip(&columns) {
            write!(f, "  {:>w$}", c.class)?;
        }
        writeln!(f)?;
        for (c, row) in self.per_class.iter().zip(&self.confusion) {
            write!(f, "{:width$}", c.class)?;
            for (n, w) in row.iter().zip(&columns) {
                write!(f, "  {n:>w$}")?;
            }
            writeln!(f)?;
        }
        Ok(())
    }

    /// With many classes a matrix is unreadable: the most frequent mistakes instead.
    fn write_confusions(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut mistakes: Vec<(usize, usize, usize)> = Vec::new();
        for (t, row) in self.confusion.iter().enumerate() {
            let wrong = |&(p, &n): &(usize, &usize)| p != t && n > 0;
            mistakes.extend((row.iter().enumerate().filter(wrong)).map(|(p, &n)| (n, t, p)));
        }
        mistakes.sort_by_key(|&(n, t, p)| (std::cmp::Reverse(n), t, p));
        writeln!(f, "most frequent mistakes (true -> predicted)")?;
        for &(n, t, p) in mistakes.iter().take(10) {
            let (truth, predicted) = (&self.per_class[t].class, &self.per_class[p].class);
            writeln!(f, "{n:7}  {truth} -> {predicted}")?;
        }
        Ok(())
    }
}

//! How good a classifier, a model file or vectors of texts are on labelled texts: accuracy, precision, recall, F1,
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

use crate::data::RowOptions;
use crate::data::labelled::read_labelled;
use crate::data::vectors::Vectors;
use crate::inference::{
    BatchClassifier, circuit_bytes, load, parse, parse_for_text, takes_vectors,
};
use crate::numeric::{argmax, softmax};
use crate::options::{Config, HiddenLayer};
use crate::resource_usage::{microseconds_a_text, peak_memory_bytes};
use crate::student::train::Moment;
use crate::student::words::Words;
use crate::student::{Prepared, Student};
use anyhow::{Context, Result, ensure};
use qdllm_host::terminal::Progress;
use qdllm_runtime::Scratch;
use qdllm_runtime::format::meta::FrontEnd;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::{Path, PathBuf};

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

/// Trains the student of `config` with another layer in the circuit's place.
pub fn train_student(
    heart: HiddenLayer,
    config: &Config,
    classes: &[String],
    progress: &mut Progress,
) -> Result<(Prepared<Words>, Student<Words>)> {
    let mut config = config.clone();
    config.student.heart = heart;
    let prepared = Words::prepare(&config, progress)?;
    ensure!(
        prepared.classes == classes,
        "the training files that the settings name now hold the classes {}; {} are to be told apart, so give the settings of these files",
        prepared.classes.join(", "),
        classes.join(", ")
    );
    progress.stage("training the linear control", prepared.passes(&config));
    let student = prepared.distill(&config, None, |moment| {
        if let Moment::Texts(done) = moment {
            progress.at(done);
        }
    })?;
    progress.done();
    Ok((prepared, student))
}

#[derive(Debug, Serialize)]
pub struct Evaluation {
    pub student: Report,
    pub student_bytes: usize,
    pub control: Option<Report>,
    pub control_bytes: usize,
    /// Time of one text through the runtime, texts one after another on one thread.
    pub microseconds_per_text: f64,
    pub peak_memory_bytes: Option<u64>,
}

/// Judges the model file, and a linear control trained by `config` if given.
pub fn evaluate(
    model_path: &Path,
    data: &[impl AsRef<Path>],
    options: impl Into<RowOptions>,
    config: Option<&Config>,
    quiet: bool,
) -> Result<Evaluation> {
    let bytes = load(model_path)?;
    let (model, classes) = parse_for_text(&bytes, model_path)?;
    let (texts, truth) = read_labelled(data, options, &classes)?;
    let answers = BatchClassifier::new(&model).classify(&texts)?;
    let student: Vec<Vec<f32>> = answers.into_iter().map(|a| a.probabilities).collect();
    let control = |config: &Config| {
        let mut progress = Progress::new(quiet);
        let mut config = config.clone();
        // The settings beside an older model do not state its token rules.
        if let FrontEnd::Words { kinds, .. } = model.meta().front {
            config.student.unicode = kinds.unicode;
        }
        let (prepared, student) =
            train_student(HiddenLayer::Linear, &config, &classes, &mut progress)?;
        let probabilities = student.probabilities_of(&prepared.shape.front.vocabulary(), &texts);
        anyhow::Ok(Report::from(&classes, &truth, &probabilities))
    };
    let mut scratch = Box::new(Scratch::new());
    Ok(Evaluation {
        student: Report::from(&classes, &truth, &student),
        student_bytes: bytes.len(),
        control: config.map(control).transpose()?,
        control_bytes: bytes.len() - circuit_bytes(&model),
        microseconds_per_text: microseconds_a_text(&texts, |text| {
            model.classify(text, &mut scratch).map(|prediction| prediction.class())
        }),
        peak_memory_bytes: peak_memory_bytes(),
    })
}

impl fmt::Display for Evaluation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.student)?;
        writeln!(f, "{:34} accuracy  macro F1  calibration error    bytes", "")?;
        writeln!(f, "{}", row("student (circuit)", &self.student, self.student_bytes))?;
        self.control.iter().try_for_each(|control| {
            let name = "linear control, same rows and head";
            writeln!(f, "{}", row(name, control, self.control_bytes))
        })
    }
}

/// A line of the table that sets models side by side.
pub fn row(name: &str, report: &Report, bytes: usize) -> String {
    let (accuracy, f1, ece) = (report.accuracy, report.macro_avg.f1, report.calibration_error);
    format!("{name:34} {accuracy:>8.4}  {f1:>8.4}  {ece:>17.4}  {bytes:>7}")
}

#[derive(Debug, Serialize)]
pub struct VectorEvaluation {
    #[serde(flatten)]
    pub report: Report,
    /// Time of one vector through the runtime, one after another on one thread.
    pub microseconds_per_text: f64,
    pub peak_memory_bytes: Option<u64>,
}

/// Judges a model on labelled texts through their vectors.
pub fn evaluate_vectors(
    model_path: &Path,
    data: &Path,
    vectors: &[PathBuf],
    options: &RowOptions,
) -> Result<VectorEvaluation> {
    let bytes = load(model_path)?;
    let (model, classes) = parse(&bytes, model_path)?;
    let (texts, truth) = read_labelled(&[data], options, &classes)?;
    let vectors = Vectors::read(vectors, &[data], options)?;
    takes_vectors(&model, model_path, vectors.width)?;
    let mut scratch = Box::new(Scratch::new());
    let (mut rows, mut probabilities) = (Vec::new(), Vec::new());
    for text in &texts {
        let vector = vectors.get(text).with_context(|| {
            let start: String = text.chars().take(40).collect();
            format!("{}: the text `{start}` has no vector", data.display())
        })?;
        let prediction = model.classify_vector(vector, &mut scratch)?;
        probabilities.push(prediction.probabilities().to_vec());
        rows.push(vector);
    }
    Ok(VectorEvaluation {
        report: Report::from(&classes, &truth, &probabilities),
        microseconds_per_text: microseconds_a_text(&rows, |vector| {
            model.classify_vector(vector, &mut scratch).map(|prediction| prediction.class())
        }),
        peak_memory_bytes: peak_memory_bytes(),
    })
}

impl fmt::Display for VectorEvaluation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.report)
    }
}

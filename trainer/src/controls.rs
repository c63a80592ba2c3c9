//! Controls that stand beside a student: two classical ones, and those of its own size, which have the same rows, head and
//! training, and another layer than the circuit between them.

use crate::data::RowOptions;
use crate::data::labelled::{self, Labelled};
use crate::evaluation::train_student;
use crate::inference::circuit_bytes;
use crate::metrics::{Report, Scores};
use crate::options::{Config, HiddenLayer, OverDefaults};
use crate::regression::fasttext::{FastTextOptions, train_fasttext};
use crate::regression::tfidf::{TfidfOptions, train_tfidf};
use crate::resource_usage::{microseconds_a_text, peak_memory_bytes};
use crate::student::export::export;
use crate::student::front_end::Shape;
use crate::student::words::Words;
use crate::student::{Prepared, Student};
use anyhow::{Result, ensure};
use clap::ValueEnum as _;
use qdllm_host::terminal::Progress;
use qdllm_runtime::Model;
use serde::Serialize;
use std::path::PathBuf;
use std::time::{Duration, Instant};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Control {
    /// TF-IDF of words and characters, logistic regression
    Tfidf,
    /// fastText, dimension 10, word pairs
    Fasttext,
    /// The student's rows, the head reading the pooled features
    Linear,
    /// The student's rows, the head reading `cos(pi tanh x)`: the encoder without an ansatz
    Cosine,
    /// The student's rows, the head reading 11 `tanh x`
    Tanh,
}

impl Control {
    /// The heart it puts in the circuit's place; `None` for one that is no student.
    pub fn heart(self) -> Option<HiddenLayer> {
        match self {
            Self::Tfidf | Self::Fasttext => None,
            Self::Linear => Some(HiddenLayer::Linear),
            Self::Cosine => Some(HiddenLayer::Cosine),
            Self::Tanh => Some(HiddenLayer::Tanh),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Measured {
    pub bytes: usize,
    pub parameters: usize,
    pub train_seconds: f64,
    /// Time of one text, one after another on one thread (linear, cosine and tanh: in batches on one thread).
    pub microseconds_per_text: f64,
}

/// Train and judge two classical baselines: TF-IDF with logistic regression, fastText
///
/// With the settings of a student (--config MODEL.toml) three more are trained: its own rows with another heart than
/// the circuit.
#[derive(Debug, Clone, clap::Args)]
pub struct ControlsArgs {
    /// Labelled texts to train on (.tsv, .csv, .jsonl)
    #[arg(long, value_name = "FILE")]
    pub data: PathBuf,
    /// Labelled texts to test on
    #[arg(long, value_name = "FILE")]
    pub test: PathBuf,
    /// Print one JSON object instead of a table
    #[arg(long)]
    pub json: bool,
    /// Settings of a student, as `distill` writes them: trains its linear, cosine and tanh controls too
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Seed of fastText's first values, order of texts and hash of word pairs
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// Train one control only
    #[arg(long, value_name = "CONTROL")]
    pub only: Option<Control>,
    #[command(flatten)]
    pub rows: OverDefaults<RowOptions>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Outcome {
    pub control: Control,
    pub accuracy: f64,
    pub standard_error: f64,
    pub macro_f1: f64,
    /// Precision, recall and F1 over the classes, weighted by their texts.
    pub weighted_avg: Scores,
    #[serde(flatten)]
    pub measured: Measured,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Summary {
    pub train_texts: usize,
    pub test_texts: usize,
    /// Bad rows left out of both files.
    pub skipped_rows: u64,
    pub classes: Vec<String>,
    pub controls: Vec<Outcome>,
    pub peak_memory_bytes: Option<u64>,
}

/// Trains and tests the controls that are asked for.
pub fn measure(args: &ControlsArgs) -> Result<Summary> {
    let mut skipped_rows = 0;
    let train = Labelled::read(&args.data, &*args.rows, &mut skipped_rows)?;
    let test = Labelled::read(&args.test, &*args.rows, &mut skipped_rows)?;
    let classes = labelled::classes(&train);
    ensure!(
        classes.len() > 1,
        "{}: every label is `{}`; give a file with texts of two classes at least",
        args.data.display(),
        classes[0]
    );
    let numbered = |rows, path| labelled::numbered(rows, path, &classes, "the training data");
    let (train, labels) = numbered(train, &args.data)?;
    let (texts, truth) = numbered(test, &args.test)?;
    let rows: Vec<_> = labels.into_iter().zip(train.iter().map(String::as_str)).collect();
    let config = args.config.as_deref().map(Config::read).transpose()?;
    let wanted = match (args.only, &config) {
        (Some(control), _) => vec![control],
        (None, None) => vec![Control::Tfidf, Control::Fasttext],
        (None, Some(_)) => Control::value_variants().to_vec(),
    };
    let mut config = config.unwrap_or_default();
    config.sources.data = vec![args.data.clone()];
    let mut controls = Vec::new();
    for control in wanted {
        let start = Instant::now();
        let (probabilities, measured) = match (control.heart(), control) {
            (Some(heart), _) => same_size(heart, &config, &classes, &texts)?,
            (None, Control::Tfidf) => {
                let model = train_tfidf(&rows, classes.len(), TfidfOptions::default());
                ensure!(
                    model.converged,
                    "{}: the logistic regression did not converge, so its figures would not be the control's",
                    args.data.display()
                );
                tested(&texts, |text| model.predict(text), model.size(), start.elapsed())
            }
            (None, _) => {
                let options = FastTextOptions { seed: args.seed, ..FastTextOptions::default() };
                let model = train_fasttext(&rows, classes.len(), options);
                tested(&texts, |text| model.predict(text), model.size(), start.elapsed())
            }
        };
        let report = Report::from(&classes, &truth, &probabilities);
        controls.push(Outcome {
            control,
            accuracy: report.accuracy,
            standard_error: report.standard_error,
            macro_f1: report.macro_avg.f1,
            weighted_avg: report.weighted_avg,
            measured,
        });
    }
    Ok(Summary {
        train_texts: train.len(),
        test_texts: texts.len(),
        skipped_rows,
        classes,
        controls,
        peak_memory_bytes: peak_memory_bytes(),
    })
}

fn tested(
    texts: &[String],
    predict: impl Fn(&str) -> Vec<f32>,
    (parameters, bytes): (usize, usize),
    train: Duration,
) -> (Vec<Vec<f32>>, Measured) {
    let train_seconds = train.as_secs_f64();
    let probabilities = texts.iter().map(|text| predict(text)).collect();
    let microseconds_per_text = microseconds_a_text(texts, |text| predict(text));
    (probabilities, Measured { bytes, parameters, train_seconds, microseconds_per_text })
}

/// A control of the student's size; probabilities of `texts`, and what it cost.
fn same_size(
    heart: HiddenLayer,
    config: &Config,
    classes: &[String],
    texts: &[String],
) -> Result<(Vec<Vec<f32>>, Measured)> {
    let start = Instant::now();
    let (prepared, student) = train_student(heart, config, classes, &mut Progress::new(true))?;
    let train_seconds = start.elapsed().as_secs_f64();
    let vocab = prepared.shape.front.vocabulary();
    let probabilities = student.probabilities_of(&vocab, texts);
    // The batch is set up anew at every call: that is not a text's share, so all texts go in one call on one thread.
    let alone = rayon::ThreadPoolBuilder::new().num_threads(1).build()?;
    let all = |(): &_| student.probabilities_of(&vocab, texts).len();
    let whole = alone.install(|| microseconds_a_text(&[()], all));
    let measured = Measured {
        bytes: bytes(&student, &prepared, config)?,
        parameters: student.shape.parameters(),
        train_seconds,
        microseconds_per_text: whole / texts.len() as f64,
    };
    Ok((probabilities, measured))
}

/// Bytes of a model file with these rows and this head, less its circuit.
///
/// The format has no place for a control, so the rows are written as a student whose circuit has all angles zero.
fn bytes(student: &Student<Words>, prepared: &Prepared<Words>, config: &Config) -> Result<usize> {
    let shape = Shape { hidden: HiddenLayer::Circuit, ..student.shape.clone() };
    let mut theta = vec![0.0; shape.parameters()];
    for (to, from) in [
        (shape.weight_range(), student.shape.weight_range()),
        (shape.bias_range(), student.shape.bias_range()),
        (shape.head_range(), student.shape.head_range()),
    ] {
        theta[to].copy_from_slice(&student.theta[from]);
    }
    let mut config = config.clone();
    config.student.heart = HiddenLayer::Circuit;
    let (rounded, summary) = (student.rounded.clone(), student.summary.clone());
    let whole = Student { shape, theta, rounded, summary };
    let (file, ..) = export(&whole, prepared, &config)?;
    Ok(file.len() - circuit_bytes(&Model::parse(&file)?))
}

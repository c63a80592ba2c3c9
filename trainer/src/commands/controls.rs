//! `qdllm controls`: trains the controls and says how good, big and slow they are.

use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Result, bail, ensure};
use clap::ValueEnum as _;
use serde::Serialize;

pub use crate::controls::Control;
use crate::controls::{Measured, train_student};
use crate::data::BadRows;
use crate::data::labelled::{self, Labelled};
use crate::metrics::{Report, Scores};
use crate::options::Config;
use crate::regression::{FastTextOptions, TfidfOptions, train_fasttext, train_tfidf};
use crate::resource_usage::{microseconds_a_text, peak_memory_bytes};

/// Train TF-IDF with logistic regression and fastText on labelled texts and test them.
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
    /// What to do with a bad row of a data file
    #[arg(long, value_enum, default_value_t)]
    pub bad_rows: BadRows,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Outcome {
    /// Its name: `tfidf`, `fasttext`, `linear`, `cosine` or `tanh`.
    pub control: &'static str,
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

/// Runs the command and prints its table, or JSON.
///
/// # Errors
/// As [`measure`], and when standard output cannot be written.
pub fn run(args: &ControlsArgs) -> Result<()> {
    let summary = measure(args)?;
    let mut out = io::stdout().lock();
    if args.json {
        serde_json::to_writer(&mut out, &summary)?;
        writeln!(out)?;
        return Ok(());
    }
    writeln!(
        out,
        "trained on {} texts, tested on {}, {} classes, {} bad rows skipped",
        summary.train_texts,
        summary.test_texts,
        summary.classes.len(),
        summary.skipped_rows
    )?;
    writeln!(out, "control   accuracy  std error  macro F1     bytes  train seconds")?;
    for o in &summary.controls {
        writeln!(
            out,
            "{:8}  {:8.4}  {:9.4}  {:8.4}  {:8}  {:13.1}",
            o.control,
            o.accuracy,
            o.standard_error,
            o.macro_f1,
            o.measured.bytes,
            o.measured.train_seconds
        )?;
    }
    Ok(())
}

/// Trains and tests the controls that are asked for.
///
/// # Errors
/// When a data file cannot be read, when the training file has one class only, or when the test
/// file has a label that the training file has not.
pub fn measure(args: &ControlsArgs) -> Result<Summary> {
    let mut skipped_rows = 0;
    let train = Labelled::read(&args.data, args.bad_rows, &mut skipped_rows)?;
    let test = Labelled::read(&args.test, args.bad_rows, &mut skipped_rows)?;
    let classes = labelled::classes(&train);
    if classes.len() < 2 {
        bail!(
            "{}: every label is `{}`; give a file with texts of two classes at least",
            args.data.display(),
            train[0].label
        );
    }
    let refused = |row: &Labelled| {
        format!(
            "{}:{}: label `{}` does not occur in {}; correct it, or add texts of it there",
            args.test.display(),
            row.line,
            row.label,
            args.data.display()
        )
    };
    let (train, labels) = labelled::numbered(train, &classes, refused)?;
    let (texts, truth) = labelled::numbered(test, &classes, refused)?;
    let rows: Vec<(usize, &str)> =
        labels.into_iter().zip(train.iter().map(String::as_str)).collect();
    let config = args.config.as_deref().map(Config::read).transpose()?;
    let mut controls = Vec::new();
    for control in wanted(args) {
        let (probabilities, measured) = match control.heart() {
            Some(heart) => {
                let config = config.clone().unwrap_or_default();
                train_student(heart, &config, &args.data, &classes, &texts)?
            }
            None => classical(control, args, &rows, classes.len(), &texts)?,
        };
        let report = Report::from(&classes, &truth, &probabilities);
        controls.push(Outcome {
            control: control.name(),
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

/// The controls asked for: one, or the two classical ones and, with a student's settings, its own three.
fn wanted(args: &ControlsArgs) -> Vec<Control> {
    match (args.only, &args.config) {
        (Some(control), _) => vec![control],
        (None, None) => vec![Control::Tfidf, Control::Fasttext],
        (None, Some(_)) => Control::value_variants().to_vec(),
    }
}

fn classical(
    control: Control,
    args: &ControlsArgs,
    rows: &[(usize, &str)],
    classes: usize,
    texts: &[String],
) -> Result<(Vec<Vec<f32>>, Measured)> {
    let start = Instant::now();
    if control == Control::Tfidf {
        let model = train_tfidf(rows, classes, TfidfOptions::default());
        let train_seconds = start.elapsed().as_secs_f64();
        ensure!(
            model.converged(),
            "{}: the logistic regression did not converge, so its figures would not be the control's",
            args.data.display()
        );
        let (bytes, parameters) = (model.model_bytes(), model.parameters());
        return Ok(tested(texts, |t| model.predict(t), (bytes, parameters, train_seconds)));
    }
    let options = FastTextOptions { seed: args.seed, ..FastTextOptions::default() };
    let model = train_fasttext(rows, classes, options);
    let train_seconds = start.elapsed().as_secs_f64();
    let (bytes, parameters) = (model.model_bytes(), model.parameters());
    Ok(tested(texts, |t| model.predict(t), (bytes, parameters, train_seconds)))
}

fn tested(
    texts: &[String],
    predict: impl Fn(&str) -> Vec<f32>,
    (bytes, parameters, train_seconds): (usize, usize, f64),
) -> (Vec<Vec<f32>>, Measured) {
    let probabilities = texts.iter().map(|text| predict(text)).collect();
    let microseconds_per_text = microseconds_a_text(texts, |text| predict(text));
    (probabilities, Measured { bytes, parameters, train_seconds, microseconds_per_text })
}

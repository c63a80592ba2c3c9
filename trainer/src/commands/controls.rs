//! `qdllm controls`: trains the classical controls and says how good, big and slow they are.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use serde::Serialize;

use crate::controls::{FastTextOptions, TfidfOptions, train_fasttext, train_tfidf};
use crate::data::{BadRows, Rows};
use crate::metrics::Report;

/// Train TF-IDF with logistic regression and fastText on labelled texts and test them.
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

/// A control.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Control {
    /// TF-IDF of words and characters, logistic regression
    Tfidf,
    /// fastText, dimension 10, word pairs
    Fasttext,
}

/// What one control came to.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Outcome {
    /// `tfidf` or `fasttext`.
    pub control: &'static str,
    /// Share of the test texts classified right.
    pub accuracy: f64,
    /// Its standard error.
    pub standard_error: f64,
    /// Mean F1 over the classes.
    pub macro_f1: f64,
    /// Size of the trained control.
    pub bytes: usize,
    /// Wall-clock time of training.
    pub train_seconds: f64,
}

/// What the command found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Summary {
    /// Texts trained on.
    pub train_texts: usize,
    /// Texts tested on.
    pub test_texts: usize,
    /// Bad rows left out of both files.
    pub skipped_rows: u64,
    /// The class names, sorted.
    pub classes: Vec<String>,
    /// One entry a control.
    pub controls: Vec<Outcome>,
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
            o.control, o.accuracy, o.standard_error, o.macro_f1, o.bytes, o.train_seconds
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
    let (train, skipped_train) = read(&args.data, args.bad_rows)?;
    let (test, skipped_test) = read(&args.test, args.bad_rows)?;
    let mut index: BTreeMap<&str, usize> = train.iter().map(|t| (t.label.as_str(), 0)).collect();
    for (i, class) in index.values_mut().enumerate() {
        *class = i;
    }
    if index.len() < 2 {
        bail!(
            "{}: every label is `{}`; give a file with texts of two classes at least",
            args.data.display(),
            train[0].label
        );
    }
    let rows: Vec<(usize, &str)> =
        (train.iter()).map(|t| (index[t.label.as_str()], t.text.as_str())).collect();
    let truth: Vec<usize> = (test.iter())
        .map(|t| {
            index.get(t.label.as_str()).copied().with_context(|| {
                format!(
                    "{}:{}: label `{}` does not occur in {}; correct it, or add texts of it there",
                    args.test.display(),
                    t.line,
                    t.label,
                    args.data.display()
                )
            })
        })
        .collect::<Result<_>>()?;
    let classes: Vec<String> = index.keys().map(|&label| label.to_owned()).collect();

    let wanted = |control| args.only.is_none_or(|only| only == control);
    let judge = |predict: &dyn Fn(&str) -> Vec<f32>| {
        let probabilities: Vec<Vec<f32>> = test.iter().map(|t| predict(&t.text)).collect();
        Report::from(&classes, &truth, &probabilities)
    };
    let mut controls = Vec::new();
    if wanted(Control::Tfidf) {
        let start = Instant::now();
        let model = train_tfidf(&rows, classes.len(), TfidfOptions::default());
        let seconds = start.elapsed().as_secs_f64();
        ensure!(
            model.converged(),
            "{}: the logistic regression did not converge, so its figures would not be the control's",
            args.data.display()
        );
        let report = judge(&|text| model.predict(text));
        controls.push(outcome("tfidf", &report, model.model_bytes(), seconds));
    }
    if wanted(Control::Fasttext) {
        let options = FastTextOptions { seed: args.seed, ..FastTextOptions::default() };
        let start = Instant::now();
        let model = train_fasttext(&rows, classes.len(), options);
        let seconds = start.elapsed().as_secs_f64();
        let report = judge(&|text| model.predict(text));
        controls.push(outcome("fasttext", &report, model.model_bytes(), seconds));
    }
    Ok(Summary {
        train_texts: train.len(),
        test_texts: test.len(),
        skipped_rows: skipped_train + skipped_test,
        classes,
        controls,
    })
}

fn outcome(control: &'static str, report: &Report, bytes: usize, train_seconds: f64) -> Outcome {
    Outcome {
        control,
        accuracy: report.accuracy,
        standard_error: report.standard_error,
        macro_f1: report.macro_avg.f1,
        bytes,
        train_seconds,
    }
}

/// A labelled text and its line, for error messages.
struct Labelled {
    line: u64,
    label: String,
    text: String,
}

/// A whole file; the controls need all their rows at once.
fn read(path: &Path, bad: BadRows) -> Result<(Vec<Labelled>, u64)> {
    let mut rows = Rows::labelled(path, bad)?;
    let mut texts = Vec::new();
    for row in rows.by_ref() {
        let row = row?;
        texts.push(Labelled {
            line: row.line,
            label: row.label.unwrap_or_default(),
            text: row.text,
        });
    }
    Ok((texts, rows.skipped()))
}

//! `qdllm eval`: a model judged on labelled texts, beside a linear control of the same size.

use crate::batch_inference::BatchClassifier;
use crate::commands::print;
use crate::data::BadRows;
use crate::data::labelled::read_labelled;
use crate::metrics::Report;
use crate::model_file::{circuit_bytes, load, parse, takes_text};
use crate::options::{Config, HiddenLayer};
use crate::resource_usage::{microseconds_a_text, peak_memory_bytes};
use crate::student::run::beside;
use crate::student::train::Moment;
use crate::student::words::Words;
use anyhow::{Result, bail};
use clap::Args;
use qdllm_host::terminal::Progress;
use qdllm_runtime::Scratch;
use serde::Serialize;
use std::path::{Path, PathBuf};

/// Judge a model on labelled texts
///
/// Beside the student stands a linear control of the same size, trained with the same settings on
/// the same texts (read from `<model>.toml`), its head reading the pooled features without a circuit.
#[derive(Args, Debug)]
pub struct EvalArgs {
    /// The model file
    pub model: PathBuf,
    /// Labelled texts that were not trained on: .tsv, .csv or .jsonl
    #[arg(long)]
    pub data: PathBuf,
    /// Vectors of the texts, for a model that takes vectors; may be given again
    #[arg(long, value_name = "FILE")]
    pub vectors: Vec<PathBuf>,
    /// What to do with bad rows
    #[arg(long, default_value = "refuse")]
    pub bad_rows: BadRows,
    /// Leave the control out
    #[arg(long)]
    pub no_control: bool,
    /// Print as JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Serialize)]
pub struct Evaluation {
    pub student: Report,
    pub student_bytes: usize,
    pub control: Option<Report>,
    /// Bytes of the student's file without its circuit.
    pub control_bytes: usize,
    /// Time of one text through the runtime, texts one after another on one thread.
    pub microseconds_per_text: f64,
    pub peak_memory_bytes: Option<u64>,
}

/// Runs the command.
///
/// # Errors
/// When a file cannot be read or a label is unknown to the model.
pub fn run(args: &EvalArgs) -> Result<()> {
    if !args.vectors.is_empty() {
        let report = crate::commands::vectors::evaluate(
            &args.model,
            &args.data,
            &args.vectors,
            args.bad_rows,
        )?;
        return print(&report, args.json);
    }
    let settings = beside(&args.model, ".toml");
    let config = match (args.no_control, settings.exists()) {
        (true, _) => None,
        (false, true) => Some(Config::read(&settings)?),
        (false, false) => bail!(
            "{}: not found; the linear control is trained with the model's settings. Give --no-control to leave it out",
            settings.display()
        ),
    };
    let evaluation = evaluate(&args.model, &args.data, args.bad_rows, config.as_ref(), args.json)?;
    print(&evaluation, args.json)
}

/// Judges the model file, and a linear control trained by `config` if given.
///
/// # Errors
/// As [`run`].
pub fn evaluate(
    model_path: &Path,
    data: &Path,
    bad_rows: BadRows,
    config: Option<&Config>,
    quiet: bool,
) -> Result<Evaluation> {
    let bytes = load(model_path)?;
    let (model, classes) = parse(&bytes, model_path)?;
    takes_text(&model, model_path)?;
    let (texts, truth) = read_labelled(data, bad_rows, &classes)?;
    let answers = BatchClassifier::new(&model).classify(&texts)?;
    let student: Vec<Vec<f32>> = answers.into_iter().map(|a| a.probabilities).collect();
    let control = config.map(|config| control(config, &texts, quiet, &classes)).transpose()?;
    let mut scratch = Box::new(Scratch::new());
    Ok(Evaluation {
        student: Report::from(&classes, &truth, &student),
        student_bytes: bytes.len(),
        control: control.map(|p| Report::from(&classes, &truth, &p)),
        control_bytes: bytes.len() - circuit_bytes(&model),
        microseconds_per_text: microseconds_a_text(&texts, |text| {
            model.classify(text, &mut scratch).map(|prediction| prediction.class())
        }),
        peak_memory_bytes: peak_memory_bytes(),
    })
}

fn control(
    config: &Config,
    texts: &[String],
    quiet: bool,
    classes: &[String],
) -> Result<Vec<Vec<f32>>> {
    let mut config = config.clone();
    config.student.heart = HiddenLayer::Linear;
    let mut progress = Progress::new(quiet);
    let prepared = Words::prepare(&config, &mut progress)?;
    if prepared.classes != classes {
        bail!(
            "the training files beside the model now hold the classes {}; the model has {}",
            prepared.classes.join(", "),
            classes.join(", ")
        );
    }
    progress.stage("training the linear control", prepared.passes(&config));
    let linear = prepared.distill(&config, None, |moment| {
        if let Moment::Texts(done) = moment {
            progress.at(done);
        }
    })?;
    progress.done();
    Ok(linear.probabilities_of(&prepared.front.vocabulary(), texts))
}

impl std::fmt::Display for Evaluation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "{}", self.student)?;
        writeln!(f, "{:34} accuracy  macro F1  calibration error    bytes", "")?;
        let mut row = |name: &str, report: &Report, bytes: usize| {
            writeln!(
                f,
                "{name:34} {:>8.4}  {:>8.4}  {:>17.4}  {bytes:>7}",
                report.accuracy, report.macro_avg.f1, report.calibration_error
            )
        };
        row("student (circuit)", &self.student, self.student_bytes)?;
        if let Some(control) = &self.control {
            row("linear control, same rows and head", control, self.control_bytes)?;
        }
        Ok(())
    }
}

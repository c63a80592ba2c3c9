//! A classifier, a model file or vectors of texts judged on labelled texts.

use crate::data::RowOptions;
use crate::data::labelled::read_labelled;
use crate::data::vectors::Vectors;
use crate::inference::{
    BatchClassifier, Scratch, circuit_bytes, load, parse, parse_for_text, takes_vectors,
};
use crate::metrics::Report;
use crate::options::{Config, HiddenLayer};
use crate::resource_usage::{microseconds_a_text, peak_memory_bytes};
use crate::student::train::Moment;
use crate::student::words::Words;
use crate::student::{Prepared, Student};
use anyhow::{Context, Result, ensure};
use qdllm_host::terminal::Progress;

use qdllm_runtime::format::meta::FrontEnd;
use serde::Serialize;
use std::fmt;
use std::path::{Path, PathBuf};

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

//! The teacher's child process: reads a lesson from files, writes soft labels, prints its figures.

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::teacher::{Lesson, teach};
use crate::commands::eval::read_labelled;
use crate::data::soft::SoftWriter;
use crate::data::{BadRows, Rows};
use crate::metrics::Report;
use crate::numeric::softmax;
use crate::resource_usage::{microseconds_a_text, peak_memory_bytes};

/// A lesson as files.
#[derive(Debug, Serialize, Deserialize)]
pub struct Spec {
    /// Labelled texts.
    pub labelled: PathBuf,
    /// Texts without labels, if there are any.
    pub unlabelled: Option<PathBuf>,
    /// Texts to judge the teacher on.
    pub valid: PathBuf,
    /// Class names, sorted.
    pub classes: Vec<String>,
    /// Seed of whatever is drawn.
    pub seed: u64,
    /// Vectors of all texts.
    pub vectors: Vec<PathBuf>,
    /// A folder for features.
    pub cache: PathBuf,
    /// The file of soft labels to write.
    pub soft: PathBuf,
}

/// What a teacher came to.
#[derive(Debug, Serialize)]
struct Outcome {
    #[serde(flatten)]
    report: Report,
    parameters: Option<usize>,
    bytes: Option<usize>,
    train_seconds: f64,
    microseconds_per_text: Option<f64>,
    peak_memory_bytes: Option<u64>,
}

/// Teaches by the lesson of a file.
///
/// # Errors
/// When a file cannot be read or written, or the teacher fails.
pub fn run(path: &Path) -> Result<()> {
    let named = || path.display().to_string();
    let spec: Spec = serde_json::from_slice(&std::fs::read(path).with_context(named)?)
        .with_context(|| format!("{}: not a lesson", named()))?;
    let (texts, classes) = read_labelled(&spec.labelled, BadRows::Refuse, &spec.classes)?;
    let unlabelled: Vec<String> = match &spec.unlabelled {
        Some(path) => Rows::unlabelled(path, BadRows::Refuse)?
            .map(|row| Ok(row?.text))
            .collect::<Result<_>>()?,
        None => Vec::new(),
    };
    let (valid, truth) = read_labelled(&spec.valid, BadRows::Refuse, &spec.classes)?;
    let labelled: Vec<(usize, &str)> =
        classes.into_iter().zip(texts.iter().map(String::as_str)).collect();
    let unlabelled: Vec<&str> = unlabelled.iter().map(String::as_str).collect();
    let valid: Vec<&str> = valid.iter().map(String::as_str).collect();

    let start = Instant::now();
    let mut taught = teach(&Lesson {
        labelled: &labelled,
        unlabelled: &unlabelled,
        classes: &spec.classes,
        seed: spec.seed,
        vectors: &spec.vectors,
        cache: &spec.cache,
    })?;
    let train_seconds = start.elapsed().as_secs_f64();

    let probabilities: Vec<Vec<f32>> =
        (taught.ask)(&valid)?.iter().map(|row| softmax(row, 1.0)).collect();
    // The language model in front of vectors has run long ago: its time is not known here.
    let microseconds_per_text = spec
        .vectors
        .is_empty()
        .then(|| microseconds_a_text(&valid, |text| (taught.ask)(&[*text]).map(|rows| rows.len())));

    let folder = spec.soft.parent().unwrap_or(Path::new("."));
    let partial = tempfile::Builder::new().prefix(".soft-").tempdir_in(folder)?;
    let file = partial.path().join("soft.jsonl");
    let mut writer = SoftWriter::open(&file, &spec.classes, &taught.info)?;
    for ((_, text), logits) in labelled.iter().zip(&taught.labelled) {
        writer.append(text, logits)?;
    }
    for chunk in unlabelled.chunks(1024) {
        for (text, logits) in chunk.iter().zip((taught.ask)(chunk)?) {
            writer.append(text, &logits)?;
        }
    }
    writer.flush()?;
    std::fs::rename(&file, &spec.soft).with_context(|| spec.soft.display().to_string())?;

    let outcome = Outcome {
        report: Report::from(&spec.classes, &truth, &probabilities),
        parameters: taught.size.map(|size| size.0),
        bytes: taught.size.map(|size| size.1),
        train_seconds,
        microseconds_per_text,
        peak_memory_bytes: peak_memory_bytes(),
    };
    println!("{}", serde_json::to_string(&outcome)?);
    Ok(())
}

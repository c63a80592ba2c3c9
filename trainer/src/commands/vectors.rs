//! `eval --vectors` and `classify --vectors`: models with the front end `dense`.

use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use qdllm_runtime::Scratch;
use serde::Serialize;

use crate::data::BadRows;
use crate::data::labelled::read_labelled;
use crate::data::vectors::{Vectors, table};
use crate::metrics::Report;
use crate::model_file::{load, parse, takes_vectors};
use crate::resource_usage::{microseconds_a_text, peak_memory_bytes};

#[derive(Debug, Serialize)]
pub struct Evaluation {
    #[serde(flatten)]
    pub report: Report,
    /// Time of one vector through the runtime, one after another on one thread.
    pub microseconds_per_text: f64,
    pub peak_memory_bytes: Option<u64>,
}

/// Judges a model on labelled texts through their vectors.
///
/// # Errors
/// When a file cannot be read, a text has no vector, or the model takes no vector of that length.
pub fn evaluate(
    model: &Path,
    data: &Path,
    vectors: &[PathBuf],
    bad_rows: BadRows,
) -> Result<Evaluation> {
    let bytes = load(model)?;
    let (parsed, classes) = parse(&bytes, model)?;
    let (texts, truth) = read_labelled(data, bad_rows, &classes)?;
    let vectors = Vectors::read(vectors, &[data], bad_rows)?;
    takes_vectors(&parsed, model, vectors.width())?;
    let mut scratch = Box::new(Scratch::new());
    let mut rows = Vec::with_capacity(texts.len());
    let mut probabilities = Vec::with_capacity(texts.len());
    for text in &texts {
        let Some(vector) = vectors.get(text) else {
            let start: String = text.chars().take(40).collect();
            bail!("{}: the text `{start}` has no vector", data.display());
        };
        let prediction = parsed.classify_vector(vector, &mut scratch)?;
        probabilities.push(prediction.probabilities().to_vec());
        rows.push(vector);
    }
    Ok(Evaluation {
        report: Report::from(&classes, &truth, &probabilities),
        microseconds_per_text: microseconds_a_text(&rows, |vector| {
            parsed.classify_vector(vector, &mut scratch).map(|prediction| prediction.class())
        }),
        peak_memory_bytes: peak_memory_bytes(),
    })
}

impl std::fmt::Display for Evaluation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "{}", self.report)
    }
}

/// Classifies every row of a file of vectors, in its order: row, class, probability.
///
/// # Errors
/// When a file cannot be read or the model takes no vector of that length.
pub fn classify(model: &Path, vectors: &Path, json: bool) -> Result<()> {
    let bytes = load(model)?;
    let (parsed, _) = parse(&bytes, model)?;
    let table = table(vectors)?;
    takes_vectors(&parsed, model, table.width)?;
    let mut scratch = Box::new(Scratch::new());
    let mut out = BufWriter::new(std::io::stdout().lock());
    for row in 0..table.len() {
        let p = parsed.classify_vector(table.row(row), &mut scratch)?;
        let label = parsed.label(p.class());
        if json {
            let answer = serde_json::json!({
                "row": row + 1, "class": p.class(), "label": label, "probability": p.probability(),
                "rejected": p.is_rejected(), "probabilities": p.probabilities(),
            });
            writeln!(out, "{answer}")?;
        } else {
            let note = if p.is_rejected() { "  (rejected: too unsure)" } else { "" };
            writeln!(out, "{}\t{label}\t{:.3}{note}", row + 1, p.probability())?;
        }
    }
    out.flush()?;
    Ok(())
}

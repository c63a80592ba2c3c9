//! `eval --vectors` and `classify --vectors`: models with the front end `dense`.

use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use qdllm_runtime::format::meta::FrontEnd;
use qdllm_runtime::{Model, Scratch};
use serde::Serialize;

use crate::commands::eval::read_labelled;
use crate::commands::load;
use crate::data::BadRows;
use crate::data::vectors::{Vectors, table};
use crate::metrics::Report;
use crate::resource_usage::{microseconds_a_text, peak_memory_bytes};

/// What `eval --vectors` found.
#[derive(Debug, Serialize)]
pub struct Evaluation {
    /// The model's figures.
    #[serde(flatten)]
    pub report: Report,
    /// Time of one vector through the runtime, one after another on one thread.
    pub microseconds_per_text: f64,
    /// The most memory the process held at once; `None` where the system does not tell.
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
    let parsed = Model::parse(&bytes).with_context(|| model.display().to_string())?;
    let classes: Vec<String> = (0..parsed.classes()).map(|c| parsed.label(c).to_owned()).collect();
    let (texts, truth) = read_labelled(data, bad_rows, &classes)?;
    let vectors = Vectors::read(vectors, &[data], bad_rows)?;
    takes(&parsed, model, vectors.width())?;
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

/// Classifies every row of a file of vectors, in its order: row, class, probability.
///
/// # Errors
/// When a file cannot be read or the model takes no vector of that length.
pub fn classify(model: &Path, vectors: &Path, json: bool) -> Result<()> {
    let bytes = load(model)?;
    let parsed = Model::parse(&bytes).with_context(|| model.display().to_string())?;
    let table = table(vectors)?;
    takes(&parsed, model, table.width)?;
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

/// Refuses a model that takes a text, or a vector of another length.
fn takes(model: &Model<'_>, path: &Path, width: usize) -> Result<()> {
    match model.meta().front {
        FrontEnd::Dense { inputs } if usize::from(inputs) == width => Ok(()),
        FrontEnd::Dense { inputs } => bail!(
            "{}: takes vectors of {inputs} numbers, the file has {width}; make vectors with the model and layer it was trained on",
            path.display()
        ),
        FrontEnd::Words { .. } => {
            bail!("{}: takes a text and no vector; leave --vectors out", path.display())
        }
    }
}

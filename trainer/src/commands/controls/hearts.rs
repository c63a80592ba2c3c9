//! Controls of the student's own size: the same rows, head and training, another heart than the circuit.

use std::path::Path;
use std::time::Instant;

use anyhow::{Result, ensure};
use qdllm_runtime::Model;

use super::Measured;
use crate::commands::eval::circuit_bytes;
use crate::options::{Config, HiddenLayer};
use crate::progress::Progress;
use crate::resource_usage::microseconds_a_text;
use crate::student::distillation::{Prepared, Student};
use crate::student::export::export;
use crate::student::shape::Shape;
use crate::student::words::Words;

/// Trains the student of `config` on `data` with another heart; probabilities of `texts`, and what it cost.
///
/// # Errors
/// As `distill`, and when the classes are not those given.
pub fn train(
    heart: HiddenLayer,
    config: &Config,
    data: &Path,
    classes: &[String],
    texts: &[String],
) -> Result<(Vec<Vec<f32>>, Measured)> {
    let mut config = config.clone();
    config.sources.data = Some(data.into());
    config.student.heart = heart;
    let start = Instant::now();
    let mut progress = Progress::new(true);
    let prepared = Words::prepare(&config, &mut progress)?;
    ensure!(
        prepared.classes == classes,
        "the settings name the classes {}, the data {}; give the settings of this data",
        prepared.classes.join(", "),
        classes.join(", ")
    );
    let student = prepared.distill(&config, None, |_| {})?;
    let train_seconds = start.elapsed().as_secs_f64();
    let vocab = prepared.front.vocabulary();
    let probabilities = student.probabilities_of(&vocab, texts);
    // The batch is set up anew at every call: that is not a text's share, so all texts go in one call on one thread.
    let alone = rayon::ThreadPoolBuilder::new().num_threads(1).build()?;
    let all = [()];
    let whole = alone
        .install(|| microseconds_a_text(&all, |()| student.probabilities_of(&vocab, texts).len()));
    let measured = Measured {
        bytes: bytes(&student, &prepared, &config)?,
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
    let whole = Student {
        shape,
        theta,
        rounded: student.rounded.clone(),
        temperature: student.temperature,
        summary: student.summary.clone(),
    };
    let file = export(&whole, prepared, &config)?.bytes;
    Ok(file.len() - circuit_bytes(&Model::parse(&file)?))
}

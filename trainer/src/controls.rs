//! Controls that stand beside a student; those of its own size have the same rows, head and training, and another layer
//! than the circuit between them.

use std::path::Path;
use std::time::Instant;

use anyhow::{Result, ensure};
use qdllm_runtime::Model;
use serde::Serialize;

use crate::model_file::circuit_bytes;
use crate::options::{Config, HiddenLayer};
use crate::resource_usage::microseconds_a_text;
use crate::student::export::export;
use crate::student::shape::Shape;
use crate::student::words::Words;
use crate::student::{Prepared, Student};
use qdllm_host::terminal::Progress;

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
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
    pub fn name(self) -> &'static str {
        match self {
            Self::Tfidf => "tfidf",
            Self::Fasttext => "fasttext",
            Self::Linear => "linear",
            Self::Cosine => "cosine",
            Self::Tanh => "tanh",
        }
    }

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

/// Trains the student of `config` on `data` with another heart; probabilities of `texts`, and what it cost.
///
/// # Errors
/// As `distill`, and when the classes are not those given.
pub fn train_student(
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
        summary: student.summary.clone(),
    };
    let file = export(&whole, prepared, &config)?.bytes;
    Ok(file.len() - circuit_bytes(&Model::parse(&file)?))
}

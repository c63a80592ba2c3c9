//! Settings of a training run: a TOML file, overridden by options; the resolved ones are written
//! beside the result.

use crate::data::corpus::Sources;
use crate::student::backprop::Heart;
use crate::student::dense::config::DenseConfig;
use qdllm_runtime::text::ngram::GramKinds;
use qdllm_runtime::text::pool::{Pool, RowBits};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use thiserror::Error;

/// Everything that decides a run's result, and nothing else.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The texts.
    pub sources: Sources,
    /// The student's sizes.
    pub student: StudentConfig,
    /// How it is trained.
    pub training: TrainingConfig,
    /// The front end `dense`, for vectors.
    pub dense: DenseConfig,
}

/// Sizes of the student.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StudentConfig {
    /// Rows of the vocabulary.
    pub rows: usize,
    /// Whether pairs of neighbouring words count as n-grams.
    pub bigrams: bool,
    /// Whether triples of neighbouring words count as n-grams.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub trigrams: bool,
    /// Whether pairs and triples reach over the text's ends, so that its first and last words are told.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub edges: bool,
    /// Whether the first four characters of longer words count as n-grams.
    pub prefixes: bool,
    /// How the rows of a text become features.
    pub pooling: Pooling,
    /// How the vocabulary is chosen.
    pub select: Criterion,
    /// Bits of a row's entries: 4 or 8.
    pub row_bits: u8,
    /// What stands between features and head; only `circuit` can be exported.
    pub heart: Heart,
    /// `OpenQASM` 2 file of the circuit to train; the preset `paper` without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub circuit: Option<PathBuf>,
    /// Probability under which the model rejects its own decision; 0 never.
    pub reject_below: f32,
}

/// How the rows of a text become features.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Pooling {
    /// Their mean.
    Mean,
    /// Their sum over the square root of their number.
    Root,
}

/// How the vocabulary is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Criterion {
    /// Chi-squared statistic of presence and class: good where single words tell the topic.
    ChiSquared,
    /// Weight in a logistic regression on all n-grams: good for short texts with overlapping n-grams.
    Weight,
}

impl Default for StudentConfig {
    fn default() -> Self {
        Self {
            rows: 1024,
            bigrams: false,
            trigrams: false,
            edges: false,
            prefixes: false,
            pooling: Pooling::Root,
            select: Criterion::ChiSquared,
            row_bits: 4,
            heart: Heart::Circuit,
            circuit: None,
            reject_below: 0.0,
        }
    }
}

impl StudentConfig {
    /// The n-grams besides words.
    pub fn kinds(&self) -> GramKinds {
        GramKinds {
            bigrams: self.bigrams,
            prefixes: self.prefixes,
            trigrams: self.trigrams,
            edges: self.edges,
        }
    }

    /// The pooling as the format has it.
    pub fn pool(&self) -> Pool {
        match self.pooling {
            Pooling::Mean => Pool::Mean,
            Pooling::Root => Pool::Root,
        }
    }

    /// The bits as the format has them.
    pub fn row_bits(&self) -> RowBits {
        if self.row_bits == 8 { RowBits::Eight } else { RowBits::Four }
    }
}

/// How the student is trained.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TrainingConfig {
    /// Root of every random stream.
    pub seed: u64,
    /// Passes over the training texts, at least.
    pub epochs: usize,
    /// Steps at least: few texts are passed over more often.
    pub least_steps: usize,
    /// Texts a step.
    pub batch: usize,
    /// Learning rate of the vocabulary rows at the start; falls linearly to zero.
    pub rate: f32,
    /// Learning rate of angles, bias and head, likewise.
    pub heart_rate: f32,
    /// Decoupled weight decay of the rows, times the learning rate.
    pub decay: f32,
    /// Standard deviation of the rows at the start.
    pub row_spread: f32,
    /// Chance that an n-gram is left out of a text in training.
    pub dropout: f32,
    /// Whether a logistic regression on the student's n-grams, fitted on the same labels, answers in place of the
    /// labels where no teacher does: its answers tell a student which texts its words cannot explain.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub regression: bool,
    /// Label smoothing.
    pub smoothing: f32,
    /// The teacher's share where there is a label too.
    pub alpha: f32,
    /// Temperature of the distillation term.
    pub temperature: f32,
    /// Epochs without a better validation loss after which training stops.
    pub patience: usize,
}

impl Default for TrainingConfig {
    fn default() -> Self {
        Self {
            seed: 0,
            epochs: 15,
            least_steps: 1500,
            batch: 32,
            rate: 0.01,
            heart_rate: 0.01,
            decay: 0.2,
            row_spread: 0.05,
            dropout: 0.5,
            regression: false,
            smoothing: 0.03,
            alpha: 0.5,
            temperature: 2.0,
            patience: 10,
        }
    }
}

/// Why settings are refused.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{path}: {source}")]
    Read {
        /// The settings file.
        path: String,
        /// What the system says.
        source: std::io::Error,
    },
    /// The file is not valid TOML or has an unknown key.
    #[error("{path}: {message}")]
    Parse {
        /// The settings file.
        path: String,
        /// What the parser says, with the line.
        message: String,
    },
    /// A value out of its range.
    #[error("{key} is {value}; it must be {range}")]
    Range {
        /// The setting.
        key: &'static str,
        /// Its value.
        value: String,
        /// What is allowed.
        range: &'static str,
    },
}

impl Config {
    /// Reads a settings file; keys left out keep their defaults.
    ///
    /// # Errors
    /// [`ConfigError::Read`] or [`ConfigError::Parse`].
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let name = path.display().to_string();
        let text = std::fs::read_to_string(path)
            .map_err(|source| ConfigError::Read { path: name.clone(), source })?;
        toml::from_str(&text).map_err(|e| ConfigError::Parse {
            path: name,
            message: e.to_string().trim().to_owned(),
        })
    }

    /// The settings as TOML.
    pub fn to_toml(&self) -> String {
        // Plain numbers, texts and paths: nothing that TOML could not hold.
        toml::to_string_pretty(self).unwrap_or_default()
    }

    /// The settings without the files' names: what, with the files' contents, decides the result.
    pub fn recipe(&self) -> String {
        let sources = Sources {
            data: None,
            unlabelled: None,
            soft: None,
            soft_texts: None,
            valid: None,
            vectors: Vec::new(),
            ..self.sources.clone()
        };
        let student = StudentConfig { circuit: None, ..self.student.clone() };
        Self { sources, student, ..self.clone() }.to_toml()
    }

    /// Passes over `texts` texts: the epochs asked for, or as many as the least number of steps takes.
    pub fn epochs_for(&self, texts: usize) -> usize {
        let steps = texts.div_ceil(self.training.batch).max(1);
        self.training.epochs.max(self.training.least_steps.div_ceil(steps))
    }

    /// Refuses values outside their ranges.
    ///
    /// # Errors
    /// [`ConfigError::Range`] names the first.
    pub fn check(&self) -> Result<(), ConfigError> {
        let (student, training) = (&self.student, &self.training);
        let range = |ok: bool, key, value: &dyn std::fmt::Display, range| {
            if ok {
                Ok(())
            } else {
                Err(ConfigError::Range { key, value: value.to_string(), range })
            }
        };
        let share = |x: f32| (0.0..=1.0).contains(&x);
        let rate = |x: f32| x > 0.0 && x <= 1.0;
        range((1..=65535).contains(&student.rows), "rows", &student.rows, "from 1 to 65535")?;
        let joined = student.bigrams || student.trigrams;
        range(
            joined || !student.edges,
            "edges",
            &student.edges,
            "false without bigrams or trigrams",
        )?;
        range([4, 8].contains(&student.row_bits), "row-bits", &student.row_bits, "4 or 8")?;
        range(share(student.reject_below), "reject-below", &student.reject_below, "from 0 to 1")?;
        range(training.epochs > 0, "epochs", &training.epochs, "at least 1")?;
        range((1..=65536).contains(&training.batch), "batch", &training.batch, "from 1 to 65536")?;
        range(rate(training.rate), "rate", &training.rate, "above 0, at most 1")?;
        range(rate(training.heart_rate), "heart-rate", &training.heart_rate, "above 0, at most 1")?;
        range((0.0..10.0).contains(&training.decay), "decay", &training.decay, "from 0 to 10")?;
        let spread = training.row_spread;
        range(spread > 0.0 && spread <= 10.0, "row-spread", &spread, "above 0, at most 10")?;
        let dropout = training.dropout;
        range((0.0..1.0).contains(&dropout), "dropout", &dropout, "from 0 to below 1")?;
        range(share(training.smoothing), "smoothing", &training.smoothing, "from 0 to 1")?;
        range(share(training.alpha), "alpha", &training.alpha, "from 0 to 1")?;
        let temperature = training.temperature;
        range(
            (0.1..=100.0).contains(&temperature),
            "temperature",
            &temperature,
            "from 0.1 to 100",
        )?;
        range(training.patience > 0, "patience", &training.patience, "at least 1")?;
        let dense = &self.dense;
        let dropout = dense.dropout;
        range((0.0..1.0).contains(&dropout), "dense dropout", &dropout, "from 0 to below 1")?;
        range((0.0..1e3).contains(&dense.decay), "dense decay", &dense.decay, "from 0 to 1000")?;
        range(rate(dense.rate), "dense rate", &dense.rate, "above 0, at most 1")?;
        range(rate(dense.paper_rate), "paper-rate", &dense.paper_rate, "above 0, at most 1")?;
        let holdout = self.sources.holdout;
        range((0.0..1.0).contains(&holdout), "holdout", &holdout, "from 0 to below 1")
    }
}

//! What can go wrong between a folder of weights and a row of logits.

use std::io;
use std::path::{Path, PathBuf};

/// An error of the teacher: names the file or text and, where there is one, the remedy.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TeacherError {
    /// A file could not be read or written.
    #[error("{path}: {source}")]
    Io { path: PathBuf, source: io::Error },
    /// A model file or folder is not one this program can run.
    #[error("{path}: {what}")]
    Model {
        path: PathBuf,
        /// What is wrong and what to do about it.
        what: String,
    },
    /// The tokenizer refused a text or a prompt.
    #[error("tokenizer: {0}")]
    Tokenizer(String),
    /// A tensor operation failed; on the CPU this is a shape mismatch in the checkpoint.
    #[cfg(feature = "teacher")]
    #[error("running the model failed: {0}")]
    Tensor(#[from] candle_core::Error),
    /// The model answered with NaN or infinity.
    #[error(
        "the model gave a number that is not finite for the text `{text}`; its weights are damaged or it overflows"
    )]
    NonFinite { text: String },
    /// The cache file belongs to something else or is damaged.
    #[error("{path}: {what}; delete the file and run again")]
    Cache { path: PathBuf, what: String },
    #[cfg(feature = "endpoint")]
    #[error(transparent)]
    Endpoint(#[from] super::endpoint::error::EndpointError),
    /// A soft label file that keeps answers cannot be used.
    #[error(transparent)]
    Soft(#[from] crate::data::soft::SoftError),
    /// The labels cannot support the fit that was asked for.
    #[error("{0}")]
    Labels(String),
}

impl TeacherError {
    /// An I/O error that remembers its file: `map_err(TeacherError::io(path))`.
    pub fn io(path: &Path) -> impl FnOnce(io::Error) -> Self + '_ {
        move |source| Self::Io { path: path.to_owned(), source }
    }

    pub fn model(path: &Path, what: impl Into<String>) -> Self {
        Self::Model { path: path.to_owned(), what: what.into() }
    }
}

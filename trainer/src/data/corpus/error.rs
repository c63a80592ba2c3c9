//! Why files cannot serve as a corpus.

use crate::data::DataError;
use crate::data::soft::SoftError;
use std::path::PathBuf;
use thiserror::Error;

/// Why the files cannot serve as a corpus.
#[derive(Debug, Error)]
pub enum CorpusError {
    #[error(transparent)]
    Data(#[from] DataError),
    #[error(transparent)]
    Soft(#[from] SoftError),
    #[error(
        "nothing to learn from: give labelled texts (--data) or soft labels (--soft) with --unlabelled"
    )]
    NoSource,
    #[error(
        "{path}: every row has the label `{label}`; a classifier needs texts of at least 2 classes"
    )]
    OneClass { path: PathBuf, label: String },
    #[error(
        "{path}: {found} different labels; a model has at most {most}. Is the label in the first column?"
    )]
    TooManyClasses { path: PathBuf, found: usize, most: usize },
    /// A label that training or the teacher does not know.
    #[error(
        "{path}:{line}: label `{label}` is unknown; the classes are {known} (from {origin}). Rename the label or leave the row out"
    )]
    UnknownLabel { path: PathBuf, line: u64, label: String, known: String, origin: String },
    #[error(
        "{soft}: holds no soft label for the text at {path}:{line} ({missing} texts have none). Soft labels belong to the texts that they were made for: run `qdllm teach` on these files"
    )]
    NoSoftLabel {
        soft: PathBuf,
        path: PathBuf,
        /// Line of the first text without one.
        line: u64,
        missing: u64,
    },
    #[error(
        "{path}: unlabelled texts teach nothing without a teacher; make soft labels with `qdllm teach` and give them as --soft"
    )]
    NoTeacher { path: PathBuf },
    #[error(
        "no text is left for {part}: {texts} different texts, holdout {holdout}. Give more texts, a --valid file, or another --holdout"
    )]
    EmptyPart { part: &'static str, texts: u64, holdout: f64 },
}

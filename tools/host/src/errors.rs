//! The one shape of an error in a file: where, what is wrong, and what to do about it.

use anyhow::Context;
use std::error::Error;
use std::fmt;
use std::path::{Path, PathBuf};

/// `path:line: what is wrong; the remedy`. `what` says both, so that no message lacks its remedy.
#[derive(Debug)]
pub struct FileError<What> {
    pub path: PathBuf,
    /// Counted from 1; `None` where the whole file is meant.
    pub line: Option<u64>,
    pub what: What,
}

impl<What> FileError<What> {
    pub fn new(path: impl Into<PathBuf>, what: impl Into<What>) -> Self {
        Self { path: path.into(), line: None, what: what.into() }
    }

    pub fn at(path: impl Into<PathBuf>, line: u64, what: impl Into<What>) -> Self {
        Self { path: path.into(), line: Some(line), what: what.into() }
    }
}

impl<What: fmt::Display> fmt::Display for FileError<What> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        match self.line {
            Some(line) => write!(f, "{path}:{line}: {}", self.what),
            None => write!(f, "{path}: {}", self.what),
        }
    }
}

impl<What: Error> Error for FileError<What> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.what.source()
    }
}

/// Names the file in the error of work on it.
pub trait OfFile<T> {
    fn of_file(self, path: &Path) -> anyhow::Result<T>;
}

impl<T, E> OfFile<T> for Result<T, E>
where
    Self: Context<T, E>,
{
    fn of_file(self, path: &Path) -> anyhow::Result<T> {
        self.with_context(|| path.display().to_string())
    }
}

/// An error with its causes in one line; the outermost of a library may say little.
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(e) = cause {
        let more = e.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = e.source();
    }
    text
}

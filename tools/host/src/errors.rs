//! The one shape of an error in a file: where, what is wrong, and what to do about it.

use anyhow::Context;
use std::error::Error;
use std::path::Path;

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

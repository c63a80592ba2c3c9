//! The one shape of an error in a file: where, what is wrong, and what to do about it.

use anyhow::Context;
use std::error::Error;
use std::fmt::{self, Display};
use std::path::Path;

/// A command was asked for something that it cannot mean: exit code 2.
#[derive(Debug)]
pub struct WrongUse(String);

impl Display for WrongUse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for WrongUse {}

/// An error of wrong use.
pub fn wrong_use(what: impl Display) -> anyhow::Error {
    WrongUse(what.to_string()).into()
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

/// An error with its causes in one line; the outermost of a library may say little. Libraries that add a backtrace
/// where `RUST_BACKTRACE` is set are cut there.
pub fn chain(error: &dyn Error) -> String {
    let said = |error: &dyn Error| {
        let text = error.to_string();
        let lines = text.lines().take_while(|line| !line.trim_start().starts_with("0: "));
        lines.collect::<Vec<_>>().join("\n").trim_end().to_owned()
    };
    let mut text = said(error);
    let mut cause = error.source();
    while let Some(e) = cause {
        let more = said(e);
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = e.source();
    }
    text
}

//! One command a file; each has its arguments and a `run`.

use anyhow::{Context, Result};
use std::path::Path;

pub mod bench;
pub mod classify;
pub mod compile;
pub mod controls;
pub mod demo;
pub mod distill;
pub mod eval;
pub mod inspect;
#[cfg(feature = "teacher")]
pub mod teach;

/// The bytes of a model file.
///
/// # Errors
/// With the file's name.
pub fn load(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).with_context(|| format!("{}: cannot be read", path.display()))
}

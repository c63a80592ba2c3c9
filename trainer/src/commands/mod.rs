//! One command a file; each has its arguments and a `run`.

use anyhow::{Context, Result, bail};
use qdllm_runtime::Model;
use qdllm_runtime::format::meta::FrontEnd;
use std::path::Path;

pub mod agreement;
pub mod bench;
pub mod classify;
pub mod compile;
pub mod controls;
pub mod demo;
pub mod distill;
pub mod eval;
pub mod inspect;
pub mod reproduce;
pub mod teach;
#[cfg(feature = "teacher")]
pub mod tune;
pub mod vectors;

/// The bytes of a model file.
///
/// # Errors
/// With the file's name.
pub fn load(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).with_context(|| format!("{}: cannot be read", path.display()))
}

/// Refuses a model whose front end takes a vector and no text.
///
/// # Errors
/// With the file's name and what to do.
pub fn takes_text(model: &Model<'_>, path: &Path) -> Result<()> {
    match model.meta().front {
        FrontEnd::Words { .. } => Ok(()),
        FrontEnd::Dense { inputs } => bail!(
            "{}: has the front end `dense`, which takes a vector of {inputs} numbers and no text; give vectors by --vectors, or distill a model with the front end `words`",
            path.display()
        ),
    }
}

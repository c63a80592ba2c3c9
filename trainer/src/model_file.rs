//! A model file as commands open it.

use anyhow::{Result, bail};
use qdllm_host::errors::OfFile as _;
use qdllm_runtime::Model;
use qdllm_runtime::format::meta::FrontEnd;
use qdllm_runtime::format::{ENTRY_BYTES, Kind};
use std::path::Path;

pub use qdllm_host::files::read as load;

/// The model in the bytes of a file, and its classes.
pub fn parse<'a>(bytes: &'a [u8], path: &Path) -> Result<(Model<'a>, Vec<String>)> {
    let model = Model::parse(bytes).of_file(path)?;
    let classes = (0..model.classes()).map(|c| model.label(c).to_owned()).collect();
    Ok((model, classes))
}

/// As [`parse`]; refuses a model whose front end takes a vector and no text.
pub fn parse_for_text<'a>(bytes: &'a [u8], path: &Path) -> Result<(Model<'a>, Vec<String>)> {
    let parsed = parse(bytes, path)?;
    match parsed.0.meta().front {
        FrontEnd::Words { .. } => Ok(parsed),
        FrontEnd::Dense { inputs } => bail!(
            "{}: has the front end `dense`, which takes a vector of {inputs} numbers and no text; give vectors by --vectors, or distill a model with the front end `words`",
            path.display()
        ),
    }
}

/// Refuses a model that takes a text, or a vector of another length.
pub fn takes_vectors(model: &Model<'_>, path: &Path, width: usize) -> Result<()> {
    match model.meta().front {
        FrontEnd::Dense { inputs } if usize::from(inputs) == width => Ok(()),
        FrontEnd::Dense { inputs } => bail!(
            "{}: takes vectors of {inputs} numbers, the file has {width}; make vectors with the model and layer it was trained on",
            path.display()
        ),
        FrontEnd::Words { .. } => {
            bail!("{}: takes a text and no vector; leave --vectors out", path.display())
        }
    }
}

/// Bytes of a model file that its circuit takes: what a control of the same size does without.
pub fn circuit_bytes(model: &Model<'_>) -> usize {
    [Kind::Program, Kind::Source, Kind::Qasm]
        .iter()
        .filter_map(|&kind| Some(model.container().get(kind)?.len() + ENTRY_BYTES))
        .sum()
}

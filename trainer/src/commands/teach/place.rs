//! Where a model lies: a path, or an address on the hub that is fetched into a path.

use std::path::{Path, PathBuf};

use anyhow::Result;

/// The path of a model that was named on the command line. What exists is taken as it is, so a local folder always
/// comes before the hub.
///
/// # Errors
/// When an address on the hub cannot be read or fetched, or the build has no hub.
pub fn resolve(model: &Path, token_file: Option<&Path>) -> Result<PathBuf> {
    let text = model.to_string_lossy();
    if model.exists() || !text.starts_with("hf:") {
        return Ok(model.to_owned());
    }
    fetch(&text, token_file)
}

#[cfg(feature = "hub")]
fn fetch(text: &str, token_file: Option<&Path>) -> Result<PathBuf> {
    use crate::teacher::endpoint::{key_from_file, key_from_variable};
    use crate::teacher::llm::hub::{Address, Hub, TOKEN_VARIABLE};
    let Some(address) = Address::parse(text) else {
        return Ok(PathBuf::from(text));
    };
    let token = match token_file {
        Some(path) => Some(key_from_file(path)?),
        None => key_from_variable(TOKEN_VARIABLE)?,
    };
    Ok(Hub { endpoint: None, cache: None, token }.fetch(&address?)?)
}

#[cfg(not(feature = "hub"))]
fn fetch(text: &str, _token_file: Option<&Path>) -> Result<PathBuf> {
    anyhow::bail!(
        "{text}: this build does not reach the hub; build with `--features hub`, or fetch the folder and give its path"
    )
}

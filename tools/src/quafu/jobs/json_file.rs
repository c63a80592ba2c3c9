//! JSON files that are whole after a power cut.

use super::JobError;
use qdllm_host::files::write_durable;
use serde::{Serialize, de::DeserializeOwned};
use std::path::Path;

pub const UNFINISHED: &str = ".new-";

/// Writes `value`. At any moment the file is the old one or the new one.
pub fn write(path: &Path, value: &impl Serialize) -> Result<(), JobError> {
    let failed = |source| JobError::File { path: path.into(), source };
    let mut text = serde_json::to_vec_pretty(value).map_err(|e| failed(e.into()))?;
    text.push(b'\n');
    write_durable(path, &text, UNFINISHED).map_err(failed)
}

pub fn read<T: DeserializeOwned>(path: &Path) -> Result<T, JobError> {
    let text = std::fs::read_to_string(path)
        .map_err(|source| JobError::File { path: path.into(), source })?;
    serde_json::from_str(&text)
        .map_err(|e| JobError::Content { path: path.into(), what: e.to_string() })
}

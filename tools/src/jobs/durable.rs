//! Files that are whole after a power cut: written aside, synchronised, renamed, and the folder
//! synchronised.

use super::JobError;
use serde::{Serialize, de::DeserializeOwned};
use std::fs::File;
use std::io::Write as _;
use std::path::Path;

/// Names that begin so are unfinished.
pub const UNFINISHED: &str = ".new-";

/// Writes `value` as JSON. At any moment the file is the old one or the new one.
///
/// # Errors
/// [`JobError::File`].
pub fn write(path: &Path, value: &impl Serialize) -> Result<(), JobError> {
    let failed = |source| JobError::File { path: path.into(), source };
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut file =
        tempfile::Builder::new().prefix(UNFINISHED).tempfile_in(folder).map_err(failed)?;
    serde_json::to_writer_pretty(&mut file, value).map_err(|e| failed(e.into()))?;
    file.write_all(b"\n").map_err(failed)?;
    file.as_file().sync_all().map_err(failed)?;
    file.persist(path).map_err(|e| failed(e.error))?;
    sync_folder(folder).map_err(failed)
}

/// Makes a rename in `folder` last.
pub fn sync_folder(folder: &Path) -> std::io::Result<()> {
    // Other systems cannot open a folder; there the rename itself is all there is.
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}

/// Reads a JSON file.
///
/// # Errors
/// [`JobError`] with the file's name.
pub fn read<T: DeserializeOwned>(path: &Path) -> Result<T, JobError> {
    let text = std::fs::read_to_string(path)
        .map_err(|source| JobError::File { path: path.into(), source })?;
    serde_json::from_str(&text)
        .map_err(|e| JobError::Content { path: path.into(), what: e.to_string() })
}

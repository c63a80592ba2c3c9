//! Reading files, and writing them so that their names never show a part of them.

use anyhow::{Context as _, Result};
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::Path;

/// A file's bytes; the error names the file.
pub fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("{}: cannot be read", path.display()))
}

/// A file's text; the error names the file.
pub fn read_text(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("{}: cannot be read", path.display()))
}

/// Writes a result: temporary name in the same folder, sync, rename. An earlier file stays whole until then.
pub fn write_whole(path: &Path, bytes: impl AsRef<[u8]>) -> io::Result<()> {
    replace(path, bytes.as_ref(), ".qdllm-", true)
}

/// As [`write_whole`]; the error names the file.
pub fn write(path: &Path, bytes: impl AsRef<[u8]>) -> Result<()> {
    write_whole(path, bytes).with_context(|| format!("{}: cannot be written", path.display()))
}

/// Writes a private file that is whole after a power cut, too. What a process that ended early leaves behind
/// has a name that begins with `unfinished`.
pub fn write_durable(path: &Path, bytes: &[u8], unfinished: &str) -> io::Result<()> {
    replace(path, bytes, unfinished, false)?;
    sync_folder(folder_of(path))
}

pub fn sync_folder(folder: &Path) -> io::Result<()> {
    // Other systems cannot open a folder; there the rename itself is all there is.
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn replace(path: &Path, bytes: &[u8], prefix: &str, public: bool) -> io::Result<()> {
    let mut file = tempfile::Builder::new().prefix(prefix).tempfile_in(folder_of(path))?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    #[cfg(unix)]
    if public {
        use std::os::unix::fs::PermissionsExt as _;
        // A temporary file is private; a result is an ordinary file.
        file.as_file().set_permissions(fs::Permissions::from_mode(0o644))?;
    }
    #[cfg(not(unix))]
    let _ = public;
    file.persist(path)?;
    Ok(())
}

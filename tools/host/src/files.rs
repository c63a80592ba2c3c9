//! Reading files, and writing them so that their names never show a part of them.

use anyhow::{Context as _, Result};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
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

/// Opens or creates a file of whole lines that one process at a time adds to, locked where the file system knows
/// locks, and returns its lines; [`io::ErrorKind::WouldBlock`] where another process has it. A last line that breaks
/// off, left by a process that was ended, is cut off; the next write goes to the end.
pub fn open_lines(path: &Path) -> io::Result<(File, String)> {
    let mut options = OpenOptions::new();
    let mut file = options.read(true).write(true).create(true).truncate(false).open(path)?;
    if let Err(TryLockError::WouldBlock) = file.try_lock() {
        return Err(io::ErrorKind::WouldBlock.into());
    }
    let mut text = String::new();
    file.read_to_string(&mut text)?;
    text.truncate(whole_lines(&text).len());
    file.set_len(text.len() as u64)?;
    file.seek(SeekFrom::End(0))?;
    Ok((file, text))
}

pub fn whole_lines(text: &str) -> &str {
    &text[..text.rfind('\n').map_or(0, |end| end + 1)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_a_line_is_cut_off_and_the_next_goes_to_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lines");
        std::fs::write(&path, "one\ntwo\nthr").unwrap();
        let (mut file, text) = open_lines(&path).unwrap();
        assert_eq!(text, "one\ntwo\n");
        assert!(
            matches!(open_lines(&path), Err(e) if e.kind() == io::ErrorKind::WouldBlock),
            "one at a time"
        );
        file.write_all(b"three\n").unwrap();
        drop(file);
        assert_eq!(open_lines(&path).unwrap().1, "one\ntwo\nthree\n");
        assert!(open_lines(folder.path()).is_err());
        assert_eq!((whole_lines("half"), whole_lines("")), ("", ""));
    }
}

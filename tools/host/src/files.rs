//! Reading files, and writing them so that their names never show a part of them.

use crate::errors::wrong_use;
use crate::guard::{self, is_standard};
use crate::terminal::unescaped;
use anyhow::{Context as _, Result, anyhow};
use flate2::read::MultiGzDecoder;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// What is read.
pub type Input = Box<dyn Read + Send>;

/// A file to read, and its size, 0 where that is not known: `-` is standard input, `.gz` is unpacked. What can be read
/// only once, such as a pipe, is kept, so that it can be opened again.
pub fn open(path: &Path) -> io::Result<(Input, u64)> {
    let file = (!is_standard(path)).then(|| File::open(path)).transpose()?;
    let about = file.as_ref().map(File::metadata).transpose()?;
    let (raw, size): (Input, u64) = match (file, about) {
        (Some(_), Some(about)) if about.is_dir() => return Err(io::ErrorKind::IsADirectory.into()),
        (Some(file), Some(about)) if about.is_file() => (Box::new(file), about.len()),
        (file, _) => (Box::new(once(path, file)?), 0),
    };
    Ok(if unpacked(path).is_some() { (Box::new(MultiGzDecoder::new(raw)), 0) } else { (raw, size) })
}

/// The name that a packed file has without `.gz`.
fn unpacked(path: &Path) -> Option<PathBuf> {
    let packed = path.extension().is_some_and(|end| end.eq_ignore_ascii_case("gz"));
    packed.then(|| path.with_extension(""))
}

/// The ending that tells a file's format, in small letters; of a packed file the one before `.gz`.
pub fn ending(path: &Path) -> String {
    let plain = unpacked(path);
    let ending = plain.as_deref().unwrap_or(path).extension().unwrap_or_default();
    ending.to_string_lossy().to_lowercase()
}

/// What is read only once, kept until the program ends.
fn once(path: &Path, file: Option<File>) -> io::Result<&'static [u8]> {
    static READ: Mutex<Vec<(PathBuf, &[u8])>> = Mutex::new(Vec::new());
    let mut read = READ.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, bytes)) = read.iter().find(|(earlier, _)| earlier == path) {
        return Ok(bytes);
    }
    let mut bytes = Vec::new();
    match file {
        Some(mut file) => file.read_to_end(&mut bytes)?,
        None => io::stdin().lock().read_to_end(&mut bytes)?,
    };
    let bytes: &'static [u8] = bytes.leak();
    read.push((path.to_owned(), bytes));
    Ok(bytes)
}

/// A file's bytes; the error names the file.
pub fn read(path: &Path) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let read = open(path).and_then(|(mut file, _)| file.read_to_end(&mut bytes));
    read.with_context(|| format!("{}: cannot be read", path.display()))?;
    Ok(bytes)
}

/// A file's text; the error names the file.
pub fn read_text(path: &Path) -> Result<String> {
    let text = String::from_utf8(read(path)?);
    text.map_err(|e| anyhow!("{}: is not UTF-8: {}", path.display(), e.utf8_error()))
}

/// Makes a folder, and those above it.
pub fn create_folder(folder: &Path) -> Result<()> {
    if is_standard(folder) {
        return Err(wrong_use("-: stands for standard output; a folder is wanted here"));
    }
    fs::create_dir_all(folder).with_context(|| format!("{}: cannot be made", folder.display()))
}

/// Writes a result: temporary name in the same folder, sync, rename. An earlier file stays whole until then; one that the
/// command reads stays for good. `-` is standard output.
pub fn write_whole(path: &Path, bytes: impl AsRef<[u8]>) -> io::Result<()> {
    if is_standard(path) {
        return unescaped(bytes.as_ref());
    }
    // A device has no place for a second name.
    if fs::metadata(path).is_ok_and(|about| !about.is_file() && !about.is_dir()) {
        return OpenOptions::new().write(true).open(path)?.write_all(bytes.as_ref());
    }
    guard::writes(&[path]).map_err(io::Error::other)?;
    replace(path, bytes.as_ref(), ".qdllm-", true)
}

/// Takes the place of a file that the command reads, where that is what it says that it does.
pub fn write_back(path: &Path, bytes: &[u8]) -> Result<()> {
    replace(path, bytes, ".qdllm-", true).with_context(|| unwritten(path))
}

fn unwritten(path: &Path) -> String {
    format!("{}: cannot be written", path.display())
}

/// Lets `work` write a file with others beside it; one for standard output is made in a folder of its own.
pub fn through<T>(out: &Path, name: &str, work: impl FnOnce(&Path) -> Result<T>) -> Result<T> {
    if !is_standard(out) {
        return work(out);
    }
    let folder = tempfile::tempdir()?;
    let made = folder.path().join(name);
    let result = work(&made)?;
    write(out, read(&made)?)?;
    Ok(result)
}

/// As [`write_whole`]; the error names the file.
pub fn write(path: &Path, bytes: impl AsRef<[u8]>) -> Result<()> {
    write_whole(path, bytes).with_context(|| unwritten(path))
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

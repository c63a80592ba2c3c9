//! A file of whole lines that one process at a time adds to.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::Path;

/// Why a file cannot be added to.
#[derive(Debug, thiserror::Error)]
pub enum LinesError {
    #[error("in use")]
    Busy,
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Opens or creates the file, locked where the file system knows locks, and returns its whole lines. A last line that
/// breaks off, left by a process that was ended, is cut off; the next write goes to the end.
pub fn open(path: &Path) -> Result<(File, String), LinesError> {
    let mut file =
        OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
    match file.try_lock() {
        Ok(()) | Err(TryLockError::Error(_)) => {}
        Err(TryLockError::WouldBlock) => return Err(LinesError::Busy),
    }
    let mut text = String::new();
    file.read_to_string(&mut text)?;
    text.truncate(whole(&text).len());
    file.set_len(text.len() as u64)?;
    file.seek(SeekFrom::End(0))?;
    Ok((file, text))
}

pub fn whole(text: &str) -> &str {
    &text[..text.rfind('\n').map_or(0, |end| end + 1)]
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn half_a_line_is_cut_off_and_the_next_goes_to_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lines");
        std::fs::write(&path, "one\ntwo\nthr").unwrap();
        let (mut file, text) = open(&path).unwrap();
        assert_eq!(text, "one\ntwo\n");
        assert!(matches!(open(&path), Err(LinesError::Busy)), "one at a time");
        file.write_all(b"three\n").unwrap();
        drop(file);
        assert_eq!(open(&path).unwrap().1, "one\ntwo\nthree\n");
        assert!(matches!(open(folder.path()), Err(LinesError::Io(_))));
        assert_eq!((whole("half"), whole("")), ("", ""));
    }
}

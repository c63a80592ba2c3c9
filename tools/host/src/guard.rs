//! The files that a command reads, so that nothing which it writes takes the place of one: by another spelling, through
//! a link, or in a folder that is read as a whole.

use crate::errors::wrong_use;
use anyhow::Result;
use std::fs;
use std::path::{Path, PathBuf, absolute};
use std::sync::{Mutex, PoisonError};

/// What the command said it reads.
static INPUTS: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

/// What stands for standard input where a file is read, for standard output where one is written.
pub fn is_standard(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// Remembers files and folders that this run reads.
pub fn reads(paths: impl IntoIterator<Item = PathBuf>) {
    INPUTS.lock().unwrap_or_else(PoisonError::into_inner).extend(paths);
}

/// Whether a file is read by this run, or lies in a folder that is.
pub fn is_read(path: &Path) -> bool {
    let inputs = INPUTS.lock().unwrap_or_else(PoisonError::into_inner);
    inputs.iter().any(|input| same(input, path) || holds(input, path))
}

/// Refuses to write over what is read, and to write two results to one place.
pub fn writes<P: AsRef<Path>>(paths: &[P]) -> Result<()> {
    for (i, path) in paths.iter().map(AsRef::as_ref).enumerate() {
        let what = if is_read(path) {
            "is read by this command, or lies in a folder that is, and would be written over; give another output"
        } else if paths[..i].iter().any(|earlier| same(earlier.as_ref(), path)) {
            "is the output of two results; give each its own"
        } else {
            continue;
        };
        return Err(wrong_use(format_args!("{}: {what}", path.display())));
    }
    Ok(())
}

fn same(a: &Path, b: &Path) -> bool {
    if is_standard(a) || is_standard(b) {
        return false;
    }
    let (Ok(one), Ok(other)) = (fs::metadata(a), fs::metadata(b)) else {
        return real(a) == real(b);
    };
    // A device such as /dev/null may serve twice.
    if ![&one, &other].iter().all(|m| m.is_file() || m.is_dir()) {
        return false;
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;
        (one.dev(), one.ino()) == (other.dev(), other.ino())
    }
    #[cfg(not(unix))]
    {
        real(a) == real(b)
    }
}

fn holds(folder: &Path, path: &Path) -> bool {
    folder.is_dir() && real(path).starts_with(real(folder))
}

/// The path without links and detours; of a file that is not there yet, in its folder's.
fn real(path: &Path) -> PathBuf {
    let path = absolute(path).unwrap_or_else(|_| path.to_owned());
    match (fs::canonicalize(&path), path.parent(), path.file_name()) {
        (Ok(real), ..) => real,
        (Err(_), Some(folder), Some(name)) => real(folder).join(name),
        _ => path,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_input_is_known_by_every_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::write(path("a.tsv"), "x").unwrap();
        fs::create_dir(path("models")).unwrap();
        reads([path("a.tsv"), path("models"), path("absent")]);
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink(path("a.tsv"), path("link")).unwrap();
            fs::hard_link(path("a.tsv"), path("hard")).unwrap();
            assert!(is_read(&path("link")) && is_read(&path("hard")));
        }
        for taken in ["a.tsv", "models/../a.tsv", "models/new", "models/new/er", "./absent"] {
            assert!(is_read(&path(taken)), "{taken}");
            assert!(crate::files::write(&path(taken), "y").is_err(), "{taken}");
        }
        assert_eq!(fs::read_to_string(path("a.tsv")).unwrap(), "x");
        writes(&[path("b.tsv"), path("models2")]).unwrap();
        let twice = writes(&[path("b.tsv"), path("models/../b.tsv")]).unwrap_err().to_string();
        assert!(twice.contains("two results"), "{twice}");
    }
}

//! Where an API key comes from: a variable or a file, never the command line.

use super::error::EndpointError;
use qdllm_host::secret::{NotASecret, NotPrivate, Secret, read_private};
use std::path::Path;

/// The environment variable that is read when no other is named.
pub const KEY_VARIABLE: &str = "QDLLM_API_KEY";

fn refused(place: &str, what: impl Into<String>) -> EndpointError {
    EndpointError::Key { place: place.into(), what: what.into() }
}

/// A key from a text; white space around it is dropped. `place` names its source in errors.
///
/// # Errors
/// When it is empty or holds what a header cannot carry.
pub fn key(text: String, place: &str) -> Result<Secret, EndpointError> {
    Secret::new(text, "[key]").map_err(|e| match e {
        NotASecret::Empty => refused(place, "is empty; put the key there, or leave the option out"),
        NotASecret::Characters => {
            refused(place, "holds a space or a control character; give the key alone")
        }
    })
}

/// The key in an environment variable; `None` when it is not set.
///
/// # Errors
/// As [`key`].
pub fn key_from_variable(name: &str) -> Result<Option<Secret>, EndpointError> {
    let place = format!("the variable {name}");
    match std::env::var(name) {
        Ok(text) => key(text, &place).map(Some),
        Err(std::env::VarError::NotPresent) => Ok(None),
        Err(std::env::VarError::NotUnicode(_)) => {
            Err(refused(&place, "is not UTF-8; give the key alone"))
        }
    }
}

/// The key in a file that its owner alone can read.
///
/// # Errors
/// When the file cannot be read, when others can read it, and as [`key`].
pub fn key_from_file(path: &Path) -> Result<Secret, EndpointError> {
    let place = path.display().to_string();
    let text = read_private(path).map_err(|e| match e {
        NotPrivate::Io(e) => refused(&place, e.to_string()),
        NotPrivate::Exposed(mode) => {
            let mode = mode & 0o777;
            refused(&place, format!("others can read it (mode {mode:o}); run `chmod 600` on it"))
        }
        NotPrivate::TooLong => {
            refused(&place, "is larger than any key; name the file that holds the key")
        }
    })?;
    key(text.to_string(), &place)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_checked_and_blotted_out() {
        let sk = key(" sk-abc \n".into(), "test").ok().unwrap();
        assert_eq!(sk.expose(), "sk-abc");
        assert_eq!(sk.redact("no such key: sk-abc!"), "no such key: [key]!");
        for bad in ["", "  \n", "two words"] {
            let message = key(bad.into(), "test").err().unwrap().to_string();
            assert!(message.contains("test") && !message.contains("two words"), "{message}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_file_that_others_can_read_is_refused() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        std::fs::write(&path, "sk-abc\n").unwrap();
        for (mode, good) in [(0o600, true), (0o400, true), (0o640, false), (0o604, false)] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            let read = key_from_file(&path);
            assert_eq!(read.is_ok(), good, "{mode:o}");
            if let Err(e) = read {
                assert!(e.to_string().contains("chmod 600") && !e.to_string().contains("sk-"));
            }
        }
    }
}

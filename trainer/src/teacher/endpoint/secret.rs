//! An API key that nothing can print: no `Debug`, no `Display`, no `Serialize`, wiped when dropped.

use std::path::Path;

use zeroize::Zeroizing;

use super::EndpointError;

/// The environment variable that is read when no other is named.
pub const KEY_VARIABLE: &str = "QDLLM_API_KEY";

pub struct Secret(Zeroizing<String>);

impl Secret {
    /// A key from a text; white space around it is dropped. `place` names its source in errors.
    ///
    /// # Errors
    /// [`EndpointError::Key`] when it is empty or holds what a header cannot carry.
    pub fn new(text: String, place: &str) -> Result<Self, EndpointError> {
        let text = Zeroizing::new(text);
        let refuse = |what: &str| EndpointError::Key { place: place.into(), what: what.into() };
        let key = text.trim();
        if key.is_empty() {
            return Err(refuse("is empty; put the key there, or leave the option out"));
        }
        if !key.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(refuse("holds a space or a control character; give the key alone"));
        }
        Ok(Self(Zeroizing::new(key.to_owned())))
    }

    /// The key in an environment variable; `None` when it is not set.
    ///
    /// # Errors
    /// As [`Secret::new`].
    pub fn from_variable(name: &str) -> Result<Option<Self>, EndpointError> {
        match std::env::var(name) {
            Ok(text) => Self::new(text, &format!("the variable {name}")).map(Some),
            Err(std::env::VarError::NotPresent) => Ok(None),
            Err(std::env::VarError::NotUnicode(_)) => Err(EndpointError::Key {
                place: format!("the variable {name}"),
                what: "is not UTF-8; give the key alone".into(),
            }),
        }
    }

    /// The key in a file that its owner alone can read.
    ///
    /// # Errors
    /// When the file cannot be read, when others can read it, and as [`Secret::new`].
    pub fn from_file(path: &Path) -> Result<Self, EndpointError> {
        let place = path.display().to_string();
        let refuse = |what: String| EndpointError::Key { place: place.clone(), what };
        let metadata = std::fs::metadata(path).map_err(|e| refuse(e.to_string()))?;
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = metadata.permissions().mode() & 0o777;
            if mode & 0o077 != 0 {
                return Err(refuse(format!(
                    "others can read it (mode {mode:o}); run `chmod 600` on it"
                )));
            }
        }
        if metadata.len() > 1 << 16 {
            return Err(refuse("is larger than any key; name the file that holds the key".into()));
        }
        let text = std::fs::read_to_string(path).map_err(|e| refuse(e.to_string()))?;
        Self::new(text, &place)
    }

    /// The key, for the one header that carries it.
    pub(in crate::teacher) fn expose(&self) -> &str {
        &self.0
    }

    /// A text from outside, with the key blotted out should it have been sent back.
    pub(in crate::teacher) fn redact(&self, text: &str) -> String {
        text.replace(self.0.as_str(), "[key]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Compiles only while [`Secret`] lacks the trait: with it, `probe` would be ambiguous.
    macro_rules! assert_lacks {
        ($bound:path) => {{
            trait Probe<Marker> {
                fn probe() {}
            }
            struct With;
            impl<T: ?Sized> Probe<()> for T {}
            impl<T: ?Sized + $bound> Probe<With> for T {}
            <Secret as Probe<_>>::probe();
        }};
    }

    #[test]
    fn a_key_cannot_be_printed_and_is_blotted_out() {
        assert_lacks!(std::fmt::Debug);
        assert_lacks!(std::fmt::Display);
        assert_lacks!(serde::Serialize);
        let key = Secret::new(" sk-abc \n".into(), "test").ok().unwrap();
        assert_eq!(key.expose(), "sk-abc");
        assert_eq!(key.redact("no such key: sk-abc!"), "no such key: [key]!");
        for bad in ["", "  \n", "two words"] {
            let message = Secret::new(bad.into(), "test").err().unwrap().to_string();
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
            let read = Secret::from_file(&path);
            assert_eq!(read.is_ok(), good, "{mode:o}");
            if let Err(e) = read {
                assert!(e.to_string().contains("chmod 600") && !e.to_string().contains("sk-"));
            }
        }
    }
}

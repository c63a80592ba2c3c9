//! A credential that cannot be printed: neither shown, debugged nor serialised, and wiped when dropped.

use anyhow::{Context as _, Result, ensure};
use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use zeroize::Zeroizing;

/// An API key or an access token. It has no `Debug`, no `Display` and no `Serialize`, so that a log line, a panic
/// message or a file that would contain it does not compile.
pub struct Secret {
    text: Zeroizing<String>,
    /// What a text from outside shows in its place.
    mask: &'static str,
}

/// Why a text is no credential. The text is not repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotASecret {
    #[error("is empty")]
    Empty,
    /// Something that a header line cannot carry.
    #[error("holds a space, a line end or another character that no token has")]
    Characters,
}

impl Secret {
    /// A secret from a text; white space around it is dropped.
    pub fn new(text: String, mask: &'static str) -> Result<Self, NotASecret> {
        let text = Zeroizing::new(text);
        let text = Zeroizing::new(text.trim().to_owned());
        if text.is_empty() {
            return Err(NotASecret::Empty);
        }
        if !text.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(NotASecret::Characters);
        }
        Ok(Self { text, mask })
    }

    /// The secret, for the one header or keyring that takes it.
    pub fn expose(&self) -> &str {
        &self.text
    }

    /// A text from outside, with the secret blotted out should it occur.
    pub fn redact(&self, text: &str) -> String {
        text.replace(self.text.as_str(), self.mask)
    }
}

/// The text of a file that its owner alone can read and write, of at most 64 KiB. An error does not name the file,
/// since what was given as its name may be the secret.
pub fn read_private(path: &Path) -> Result<Zeroizing<String>> {
    const MOST_BYTES: u64 = 1 << 16;
    let unread = "cannot be read";
    let file = File::open(path).context(unread)?;
    // Asked of the open file, so that it cannot be exchanged in between.
    let metadata = file.metadata().context(unread)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = metadata.permissions().mode() & 0o7777;
        ensure!(
            mode & 0o077 == 0,
            "can be read by others (mode {mode:04o}); close it with `chmod 600 FILE`"
        );
    }
    ensure!(metadata.len() <= MOST_BYTES, "is larger than any key or token; name the right file");
    let mut text = Zeroizing::new(String::new());
    file.take(MOST_BYTES).read_to_string(&mut text).context(unread)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Compiles only while `Secret` lacks each trait: were it there, `marker` would be ambiguous.
    macro_rules! lacks {
        ($($bound:path),+) => {$({
            trait Lacks<A> { fn marker() {} }
            impl<T: ?Sized> Lacks<()> for T {}
            struct Has;
            impl<T: ?Sized + $bound> Lacks<Has> for T {}
            <Secret as Lacks<_>>::marker();
        })+};
    }

    #[test]
    fn nothing_prints_it() {
        lacks!(std::fmt::Debug, std::fmt::Display, serde::Serialize);
    }

    #[test]
    fn texts_are_trimmed_checked_and_blotted_out() {
        let secret = Secret::new(" abc123\n".into(), "[token]").ok().unwrap();
        assert_eq!(secret.expose(), "abc123");
        assert_eq!(secret.redact("bad token abc123!"), "bad token [token]!");
        assert_eq!(Secret::new(" \n".into(), "[token]").err(), Some(NotASecret::Empty));
        assert_eq!(Secret::new("a b".into(), "[token]").err(), Some(NotASecret::Characters));
        assert_eq!(Secret::new("a\u{e9}".into(), "[token]").err(), Some(NotASecret::Characters));
    }
}

//! A token that cannot be printed: neither shown, debugged nor serialised, and wiped when dropped.

use zeroize::Zeroizing;

/// Shown in a text where the token stood.
const MASK: &str = "[token]";

/// A secret text. It has no `Debug`, no `Display` and no `Serialize`, so that a log line, a panic
/// message or a file that would contain it does not compile.
pub struct Secret(Zeroizing<String>);

/// Why a text is no token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotASecret {
    /// Nothing but spaces.
    #[error("is empty")]
    Empty,
    /// Something that a header line cannot carry.
    #[error("holds a space, a line end or another character that no token has")]
    Characters,
}

impl Secret {
    /// A secret from a text; white space around it is dropped.
    ///
    /// # Errors
    /// [`NotASecret`]; the text is not repeated.
    pub fn new(text: String) -> Result<Self, NotASecret> {
        let text = Zeroizing::new(text);
        let token = Zeroizing::new(text.trim().to_string());
        if token.is_empty() {
            return Err(NotASecret::Empty);
        }
        if !token.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(NotASecret::Characters);
        }
        Ok(Self(token))
    }

    /// The secret, for the one header that carries it.
    pub(super) fn expose(&self) -> &str {
        &self.0
    }

    /// A text from outside, with the secret blotted out should it occur.
    pub fn redact(&self, text: &str) -> String {
        text.replace(self.0.as_str(), MASK)
    }
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
        let secret = Secret::new(" abc123\n".into()).ok().unwrap();
        assert_eq!(secret.expose(), "abc123");
        assert_eq!(secret.redact("bad token abc123!"), "bad token [token]!");
        assert_eq!(Secret::new(" \n".into()).err(), Some(NotASecret::Empty));
        assert_eq!(Secret::new("a b".into()).err(), Some(NotASecret::Characters));
        assert_eq!(Secret::new("a\u{e9}".into()).err(), Some(NotASecret::Characters));
    }
}

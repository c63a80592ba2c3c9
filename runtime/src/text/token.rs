//! Text to words: folded in case, addresses and numbers folded to one word each, hashed
//! as they are read, so that no buffer holds a word.
//!
//! The rules, which are part of the model format (token rules 1):
//! - Letters are folded to lower case: ASCII, Latin-1, Greek and Cyrillic; other letters stay.
//! - A word is a run of letters and digits. Apostrophes (`'`, `` ` ``, U+2019) between letters are
//!   skipped, so `don't` is `dont`. A run of ASCII digits is one `0`; of three or more equal letters
//!   two count, so `sooo` is `soo`.
//! - A word that begins `http://`, `https://` or `www.` reaches to the next white space and becomes
//!   the word `<url>`; `@` before a letter, digit or `_` takes all of these and becomes `<user>`.
//! - A run of `!` and `?` is a word: `!` or `?` alone, `??` for question marks only, else `!!`. Two or
//!   more full stops are the word `..`. Everything else separates.
//! - A hash is FNV-1a, 32 bits, over the UTF-8 of the folded n-gram; words have a space between.

/// Offset basis of FNV-1a, 32 bits (Fowler, Noll, Vo).
pub(super) const BASIS: u32 = 0x811c_9dc5;
const PRIME: u32 = 0x0100_0193;

#[derive(Clone, Copy)]
pub(super) struct Hashes {
    pub(super) alone: u32,
    /// Of what goes before, a space and this word.
    pub(super) pair: Option<u32>,
    /// Of the first four characters and `*`, once there is a fifth.
    pub(super) prefix: Option<u32>,
    four: u32,
    characters: u32,
}

impl Hashes {
    fn new(after: Option<u32>) -> Self {
        Self { alone: BASIS, pair: after, prefix: None, four: BASIS, characters: 0 }
    }

    fn feed_all(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.feed_byte(byte);
        }
    }

    fn feed_byte(&mut self, byte: u8) {
        self.alone = feed(self.alone, byte);
        self.pair = self.pair.map(|h| feed(h, byte));
    }

    fn feed_char(&mut self, c: char) {
        if c.is_ascii() {
            self.feed_byte(c as u8);
        } else {
            self.feed_all(c.encode_utf8(&mut [0; 4]).as_bytes());
        }
        self.characters += 1;
        match self.characters {
            4 => self.four = self.alone,
            5 => self.prefix = Some(feed(self.four, b'*')),
            _ => {}
        }
    }
}

#[derive(Clone, Debug)]
pub(super) struct Words<'t> {
    text: &'t str,
    /// Where the next word is looked for: a byte of the text.
    pub(super) at: usize,
}

impl<'t> Words<'t> {
    pub(super) const fn new(text: &'t str) -> Self {
        Self { text, at: 0 }
    }

    fn rest(&self) -> &str {
        self.text.get(self.at..).unwrap_or("")
    }

    /// Moves over what `belongs` and returns how many bytes that were.
    fn skip(&mut self, belongs: impl Fn(char) -> bool) -> usize {
        let length = self.rest().find(|c| !belongs(c)).unwrap_or(self.rest().len());
        self.at += length;
        length
    }

    /// The next word: its first byte and its hashes.
    pub(super) fn word(&mut self, after: Option<u32>) -> Option<(usize, Hashes)> {
        loop {
            let start = self.at;
            let c = self.rest().chars().next()?;
            let mut hash = Hashes::new(after);
            if is_address(self.rest().as_bytes()) {
                self.skip(|c| !is_space(c));
                hash.feed_all(b"<url>");
            } else if is_word(c) {
                self.plain_word(&mut hash);
            } else if c == '!' || c == '?' {
                let length = self.skip(|c| c == '!' || c == '?');
                let run = self.text.get(start..self.at).unwrap_or("");
                match (length, run.bytes().any(|b| b == b'!')) {
                    (1, _) => hash.feed_char(c),
                    (_, true) => hash.feed_all(b"!!"),
                    (_, false) => hash.feed_all(b"??"),
                }
            } else if c == '.' && self.rest().starts_with("..") {
                self.skip(|c| c == '.');
                hash.feed_all(b"..");
            } else {
                self.at += c.len_utf8();
                if c != '@' || self.skip(is_handle) == 0 {
                    continue;
                }
                hash.feed_all(b"<user>");
            }
            return Some((start, hash));
        }
    }

    fn plain_word(&mut self, hash: &mut Hashes) {
        let (mut last, mut repeats) = ('\0', 0);
        let text = self.text;
        let mut at = self.at;
        while let Some(&byte) = text.as_bytes().get(at) {
            // Most text is ASCII letters: those need not be decoded.
            let c = if byte.is_ascii_alphanumeric() {
                at += 1;
                char::from(byte)
            } else {
                let c = first(text, at);
                let word = is_word(c);
                if !(word || is_apostrophe(c) && is_word(first(text, at + c.len_utf8()))) {
                    break;
                }
                at += c.len_utf8();
                if !word {
                    continue;
                }
                c
            };
            let folded = if c.is_ascii_digit() { '0' } else { fold(c) };
            repeats = if folded == last { repeats + 1 } else { 1 };
            last = folded;
            if repeats <= if folded == '0' { 1 } else { 2 } {
                hash.feed_char(folded);
            }
        }
        self.at = at;
    }
}

/// The character at a byte of `text`; a space, which is no part of a word, at its end.
#[inline(never)]
fn first(text: &str, at: usize) -> char {
    text.get(at..).and_then(|rest| rest.chars().next()).unwrap_or(' ')
}

pub(super) fn feed(hash: u32, byte: u8) -> u32 {
    (hash ^ u32::from(byte)).wrapping_mul(PRIME)
}

/// FNV-1a, 32 bits, of bytes: what `ngram::grams` computes for an already folded n-gram.
pub fn fnv1a(bytes: &[u8]) -> u32 {
    bytes.iter().fold(BASIS, |hash, &byte| feed(hash, byte))
}

/// White space as Unicode has it: written out, since the table of `char::is_whitespace` takes flash.
fn is_space(c: char) -> bool {
    matches!(c, '\t'..='\r' | ' ' | '\u{85}' | '\u{a0}' | '\u{1680}' | '\u{2000}'..='\u{200a}'
        | '\u{2028}' | '\u{2029}' | '\u{202f}' | '\u{205f}' | '\u{3000}')
}

fn is_apostrophe(c: char) -> bool {
    matches!(c, '\'' | '`' | '\u{2019}')
}

fn is_handle(c: char) -> bool {
    c == '_' || c.is_ascii_alphanumeric()
}

/// Letters and digits, without Unicode tables: beyond ASCII all but the blocks of signs.
fn is_word(c: char) -> bool {
    match c {
        '\0'..='\u{7f}' => c.is_ascii_alphanumeric(),
        '\u{80}'..='\u{bf}' => matches!(c, 'ª' | 'µ' | 'º'),
        '×' | '÷' => false,
        '\u{2000}'..='\u{2bff}' | '\u{3000}'..='\u{303f}' | '\u{fe00}'..='\u{fe0f}' => false,
        '\u{ff00}'..='\u{ff0f}' | '\u{fff0}'..='\u{ffff}' => false,
        _ => true,
    }
}

/// Lower case of the alphabets whose cases lie a fixed distance apart.
fn fold(c: char) -> char {
    if c.is_ascii() {
        return c.to_ascii_lowercase();
    }
    let shift = match c {
        'À'..='Þ' | 'Α'..='Ω' | 'А'..='Я' => 32,
        'Ѐ'..='Џ' => 80,
        _ => 0,
    };
    char::from_u32(c as u32 + shift).unwrap_or(c)
}

fn is_address(bytes: &[u8]) -> bool {
    [&b"http://"[..], b"https://", b"www."]
        .iter()
        .any(|p| bytes.get(..p.len()).is_some_and(|head| head.eq_ignore_ascii_case(p)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn white_space_is_that_of_unicode() {
        assert!(
            (0..=0x10_ffff).filter_map(char::from_u32).all(|c| is_space(c) == c.is_whitespace())
        );
    }

    #[test]
    fn fnv_1a_has_its_published_values() {
        // Test vectors of the FNV authors (draft-eastlake-fnv, appendix C).
        assert_eq!(fnv1a(b""), 0x811c_9dc5);
        assert_eq!(fnv1a(b"a"), 0xe40c_292c);
        assert_eq!(fnv1a(b"foobar"), 0xbf9c_f968);
    }
}

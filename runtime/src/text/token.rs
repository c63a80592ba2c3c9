//! Text to words: folded in case, addresses and numbers folded to one word each, hashed
//! as they are read, so that no buffer holds a word.
//!
//! The rules, which are part of the model format (token rules 1, and 3 where marked):
//! - Letters are folded to lower case: ASCII, Latin-1, Greek and Cyrillic; other letters stay.
//!   By rules 3 letters lose their marks, too: Latin ones (Latin-1, Extended-A, -B and Additional) become
//!   those of ASCII, Greek and Cyrillic ones their own without; jamo and kana with marks are composed.
//! - A word is a run of letters and digits. Apostrophes (`'`, `` ` ``, U+2019) between letters are
//!   skipped, so `don't` is `dont`. A run of ASCII digits is one `0`; of three or more equal letters
//!   two count, so `sooo` is `soo`.
//! - A word that begins `http://`, `https://` or `www.` reaches to the next white space and becomes
//!   the word `<url>`; `@` before a letter, digit or `_` takes all of these and becomes `<user>`.
//! - A run of `!` and `?` is a word: `!` or `?` alone, `??` for question marks only, else `!!`. Two or
//!   more full stops are the word `..`. Everything else separates.
//! - By rules 3 each emoji is a word, and each pair of regional indicators; soft hyphens, combining marks,
//!   joiners, zero-width spaces, variation selectors, skin tones and byte order marks are skipped.
//! - With signs kept (3), digits stay as they are, and any other run of what separates and is no white
//!   space is a word; of three or more equal signs two count.
//! - A hash is FNV-1a, 32 bits, over the UTF-8 of the folded n-gram; words have a space between.

use super::letter::{composed, is_emoji, is_ignored, is_regional, plain};
use crate::error::COMPACT;

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
    /// Characters of a word that count; 0 for all.
    cut: u32,
}

impl Hashes {
    fn new(after: Option<u32>, cut: u8) -> Self {
        let cut = u32::from(cut);
        Self { alone: BASIS, pair: after, prefix: None, four: BASIS, characters: 0, cut }
    }

    /// Whether it is a word of letters and digits, none that stands for an address or a run of signs.
    #[cfg(feature = "compact")]
    pub(super) fn is_plain(&self) -> bool {
        self.characters > 0
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
        if COMPACT && self.cut > 0 && self.characters >= self.cut {
            return;
        }
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
    /// Token rules 3.
    unicode: bool,
    /// Digits and signs are kept.
    signs: bool,
}

/// Whether token rules 3 are known.
pub(super) const UNICODE: bool = cfg!(feature = "unicode");

impl<'t> Words<'t> {
    /// By token rules 3 if `unicode`, with digits and signs if `signs`.
    pub(super) const fn new(text: &'t str, unicode: bool, signs: bool) -> Self {
        Self { text, at: 0, unicode, signs }
    }

    const fn unicode(&self) -> bool {
        UNICODE && self.unicode
    }

    const fn keeps_signs(&self) -> bool {
        UNICODE && self.signs
    }

    /// The character that counts at a byte or next after it, and where it ends.
    fn character(&self, at: usize) -> (char, usize) {
        let (mut c, mut end) = self.counted(at);
        while self.unicode() {
            let (mark, after) = self.counted(end);
            let Some(whole) = composed(c, mark) else { break };
            (c, end) = (whole, after);
        }
        (c, end)
    }

    #[inline(never)]
    fn counted(&self, mut at: usize) -> (char, usize) {
        loop {
            let c = first(self.text, at);
            at += c.len_utf8();
            if !(self.unicode() && is_ignored(c)) {
                return (c, at);
            }
        }
    }

    fn is_word(&self, c: char) -> bool {
        is_word(c) && !(self.unicode() && (is_emoji(c) || is_ignored(c)))
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
    pub(super) fn word(&mut self, after: Option<u32>, cut: u8) -> Option<(usize, Hashes)> {
        loop {
            let start = self.at;
            let c = self.rest().chars().next()?;
            let mut hash = Hashes::new(after, cut);
            if is_address(self.rest().as_bytes()) {
                self.skip(|c| !is_space(c));
                hash.feed_all(b"<url>");
            } else if self.is_word(c) {
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
                if c == '@' && self.skip(is_handle) > 0 {
                    hash.feed_all(b"<user>");
                } else if !(self.unicode() && self.sign(c, &mut hash)) {
                    continue;
                }
            }
            return Some((start, hash));
        }
    }

    /// Whether the character just read is, or begins, a word without letters: an emoji, a flag, a run of signs.
    fn sign(&mut self, mut c: char, hash: &mut Hashes) -> bool {
        if is_ignored(c) || !(is_emoji(c) || self.keeps_signs() && !is_space(c)) {
            return false;
        }
        let mut run = Run::default();
        let mut flag = is_regional(c);
        loop {
            if run.length_with(c) <= 2 {
                hash.feed_char(c);
            }
            let (next, end) = self.character(self.at);
            let belongs = if is_emoji(c) { flag && is_regional(next) } else { self.joins(next) };
            if !belongs {
                return true;
            }
            flag = false;
            (c, self.at) = (next, end);
        }
    }

    /// Whether a run of signs goes on with `c`.
    fn joins(&self, c: char) -> bool {
        !(is_space(c) || self.is_word(c) || is_emoji(c) || matches!(c, '!' | '?' | '.' | '@'))
    }

    fn plain_word(&mut self, hash: &mut Hashes) {
        let mut letters = Letters::of(self, self.at);
        letters.by_ref().for_each(|c| hash.feed_char(c));
        self.at = letters.words.at;
    }
}

/// The folded characters of the word of letters and digits that begins at a byte of a text.
#[derive(Clone, Debug)]
pub(super) struct Letters<'t> {
    words: Words<'t>,
    run: Run,
}

impl<'t> Letters<'t> {
    /// By the rules of `words`.
    pub(super) fn of(words: &Words<'t>, at: usize) -> Self {
        Self { words: Words { at, ..words.clone() }, run: Run::default() }
    }
}

impl Iterator for Letters<'_> {
    type Item = char;

    fn next(&mut self) -> Option<char> {
        let words = &mut self.words;
        while let Some(&byte) = words.text.as_bytes().get(words.at) {
            // Most text is ASCII letters: those need not be decoded.
            let c = if byte.is_ascii_alphanumeric() {
                words.at += 1;
                char::from(byte)
            } else {
                let (c, end) = words.character(words.at);
                let word = words.is_word(c);
                if !(word || is_apostrophe(c) && words.is_word(words.character(end).0)) {
                    break;
                }
                words.at = end;
                if !word {
                    continue;
                }
                if words.unicode() { plain(c) } else { c }
            };
            let digit = c.is_ascii_digit();
            let folded = if digit && !words.keeps_signs() { '0' } else { fold(c) };
            let length = self.run.length_with(folded);
            if length == 1 || length == 2 && !digit || digit && words.keeps_signs() {
                return Some(folded);
            }
        }
        None
    }
}

/// Equal characters that follow each other.
#[derive(Clone, Debug, Default)]
struct Run {
    last: char,
    length: u32,
}

impl Run {
    fn length_with(&mut self, c: char) -> u32 {
        self.length = if c == self.last { self.length + 1 } else { 1 };
        self.last = c;
        self.length
    }
}

/// The character at a byte of `text`; a space, which is no part of a word, at its end.
#[inline(never)]
fn first(text: &str, at: usize) -> char {
    text.get(at..).and_then(|rest| rest.chars().next()).unwrap_or(' ')
}

/// The hash with the UTF-8 of one more character.
#[cfg(feature = "compact")]
pub(super) fn feed_char(hash: u32, c: char) -> u32 {
    c.encode_utf8(&mut [0; 4]).bytes().fold(hash, feed)
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

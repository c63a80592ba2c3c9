//! Text to n-grams: words folded in case, addresses and numbers folded to one word each, hashed
//! as they are read, so that no buffer holds a word.
//!
//! The rules, which are part of the model format (token rules 1):
//! - Letters are folded to lower case: ASCII, Latin-1, Greek and Cyrillic; other letters stay.
//! - A word is a run of letters and digits. An apostrophe (`'` or U+2019) between letters is
//!   skipped, so `don't` is `dont`. Every run of ASCII digits inside or alone is one `0`.
//! - A word that begins `http://`, `https://` or `www.` reaches to the next white space and becomes
//!   the word `<url>`; `@` before a letter, digit or `_` takes all of these and becomes `<user>`.
//! - `!` and `?` are words of their own; everything else separates.
//! - A hash is FNV-1a, 32 bits, over the UTF-8 of the folded word; of a bigram, over both words
//!   with a space between.

/// Offset basis of FNV-1a, 32 bits (Fowler, Noll, Vo).
const BASIS: u32 = 0x811c_9dc5;
/// Prime of FNV-1a, 32 bits.
const PRIME: u32 = 0x0100_0193;

/// One n-gram of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gram {
    /// FNV-1a of the folded n-gram.
    pub hash: u32,
    /// First byte in the text.
    pub start: usize,
    /// One past the last byte in the text.
    pub end: usize,
    /// Words in it: 1 or 2.
    pub words: u8,
}

/// Iterator over the words of a text, each followed by the bigram that it ends.
#[derive(Clone, Debug)]
pub struct Grams<'t> {
    text: &'t str,
    at: usize,
    /// The previous word's hash state and first byte.
    previous: Option<(u32, usize)>,
    pending: Option<Gram>,
    bigrams: bool,
}

/// The n-grams of `text`: words, and with `bigrams` also pairs of neighbours.
pub fn grams(text: &str, bigrams: bool) -> Grams<'_> {
    Grams {
        text,
        at: 0,
        previous: None,
        pending: None,
        bigrams,
    }
}

impl Iterator for Grams<'_> {
    type Item = Gram;

    fn next(&mut self) -> Option<Gram> {
        if let Some(gram) = self.pending.take() {
            return Some(gram);
        }
        let after = self.previous.map(|(hash, _)| feed(hash, b' '));
        let (word, pair) = self.word(after)?;
        if self.bigrams
            && let (Some(hash), Some((_, start))) = (pair, self.previous)
        {
            self.pending = Some(Gram {
                hash,
                start,
                words: 2,
                ..word
            });
        }
        self.previous = Some((word.hash, word.start));
        Some(word)
    }
}

/// Two hashes fed alike: of the word alone, and continued from the word before.
#[derive(Clone, Copy)]
struct Pair(u32, Option<u32>);

impl Pair {
    fn feed(&mut self, byte: u8) {
        self.0 = feed(self.0, byte);
        self.1 = self.1.map(|h| feed(h, byte));
    }

    fn feed_all(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|&b| self.feed(b));
    }

    fn feed_char(&mut self, c: char) {
        self.feed_all(c.encode_utf8(&mut [0; 4]).as_bytes());
    }
}

impl Grams<'_> {
    fn rest(&self) -> &str {
        self.text.get(self.at..).unwrap_or("")
    }

    /// The next word, and the hash of the bigram that it ends if `after` is the state before it.
    fn word(&mut self, after: Option<u32>) -> Option<(Gram, Option<u32>)> {
        loop {
            let c = self.rest().chars().next()?;
            if is_word(c) {
                break;
            }
            let start = self.at;
            self.at += c.len_utf8();
            let mut hash = Pair(BASIS, after);
            if c == '!' || c == '?' {
                hash.feed(c as u8);
            } else if c == '@' && self.rest().starts_with(is_handle) {
                let length = self
                    .rest()
                    .find(|c| !is_handle(c))
                    .unwrap_or(self.rest().len());
                self.at += length;
                hash.feed_all(b"<user>");
            } else {
                continue;
            }
            return Some((
                Gram {
                    hash: hash.0,
                    start,
                    end: self.at,
                    words: 1,
                },
                hash.1,
            ));
        }
        let start = self.at;
        let mut hash = Pair(BASIS, after);
        if is_address(self.rest().as_bytes()) {
            self.at += self
                .rest()
                .find(char::is_whitespace)
                .unwrap_or(self.rest().len());
            hash.feed_all(b"<url>");
        } else {
            self.plain_word(&mut hash);
        }
        Some((
            Gram {
                hash: hash.0,
                start,
                end: self.at,
                words: 1,
            },
            hash.1,
        ))
    }

    fn plain_word(&mut self, hash: &mut Pair) {
        let mut in_digits = false;
        let mut length = 0;
        let mut chars = self.rest().chars().peekable();
        while let Some(c) = chars.next() {
            let joins = is_apostrophe(c) && chars.peek().is_some_and(|&next| is_word(next));
            if !is_word(c) && !joins {
                break;
            }
            length += c.len_utf8();
            if c.is_ascii_digit() {
                if !in_digits {
                    hash.feed(b'0');
                }
            } else if !joins {
                hash.feed_char(fold(c));
            }
            in_digits = c.is_ascii_digit();
        }
        self.at += length;
    }
}

fn feed(hash: u32, byte: u8) -> u32 {
    (hash ^ u32::from(byte)).wrapping_mul(PRIME)
}

/// FNV-1a, 32 bits, of bytes: what [`grams`] computes for an already folded n-gram.
pub fn fnv1a(bytes: &[u8]) -> u32 {
    bytes.iter().fold(BASIS, |hash, &byte| feed(hash, byte))
}

fn is_apostrophe(c: char) -> bool {
    c == '\'' || c == '\u{2019}'
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
    let shift = match c {
        'A'..='Z' | 'À'..='Þ' | 'Α'..='Ω' | 'А'..='Я' => 32,
        'Ѐ'..='Џ' => 80,
        _ => 0,
    };
    char::from_u32(c as u32 + shift).unwrap_or(c)
}

fn is_address(bytes: &[u8]) -> bool {
    [&b"http://"[..], b"https://", b"www."].iter().any(|p| {
        bytes
            .get(..p.len())
            .is_some_and(|head| head.eq_ignore_ascii_case(p))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    extern crate std;
    use std::vec::Vec;

    fn words(text: &str) -> Vec<u32> {
        grams(text, false).map(|g| g.hash).collect()
    }

    fn hashes(folded: &[&str]) -> Vec<u32> {
        folded.iter().map(|w| fnv1a(w.as_bytes())).collect()
    }

    #[test]
    fn fnv_1a_has_its_published_values() {
        // Test vectors of the FNV authors (draft-eastlake-fnv, appendix C).
        assert_eq!(fnv1a(b""), 0x811c_9dc5);
        assert_eq!(fnv1a(b"a"), 0xe40c_292c);
        assert_eq!(fnv1a(b"foobar"), 0xbf9c_f968);
    }

    #[test]
    fn words_are_folded_by_the_rules() {
        let cases: &[(&str, &[&str])] = &[
            (
                "Turn OFF the porch-light",
                &["turn", "off", "the", "porch", "light"],
            ),
            ("don't, can’t 'quoted'", &["dont", "cant", "quoted"]),
            (
                "at 10:30 in room b12 or 2005",
                &["at", "0", "0", "in", "room", "b0", "or", "0"],
            ),
            (
                "see HTTP://a.b/c?d! and www.x.org",
                &["see", "<url>", "and", "<url>"],
            ),
            ("@some_one hi @ you", &["<user>", "hi", "you"]),
            ("so good!! why?", &["so", "good", "!", "!", "why", "?"]),
            ("ÉCOLE Ωμέγα ПРИВЕТ", &["école", "ωμέγα", "привет"]),
            ("日本語 😀 naïve", &["日本語", "😀", "naïve"]),
            (" \t… — ", &[]),
        ];
        for (text, folded) in cases {
            assert_eq!(words(text), hashes(folded), "{text}");
        }
    }

    #[test]
    fn bigrams_follow_the_word_that_ends_them() {
        let all: Vec<_> = grams("Turn it UP", true).collect();
        let expected = hashes(&["turn", "it", "turn it", "up", "it up"]);
        assert_eq!(all.iter().map(|g| g.hash).collect::<Vec<_>>(), expected);
        assert_eq!((all[4].start, all[4].end, all[4].words), (5, 10, 2));
    }

    proptest! {
        #[test]
        fn any_text_gives_grams_that_lie_in_it(text in any::<std::string::String>()) {
            let mut end = 0;
            for gram in grams(&text, true).filter(|g| g.words == 1) {
                prop_assert!(gram.start >= end && gram.end > gram.start);
                prop_assert!(text.is_char_boundary(gram.start) && text.is_char_boundary(gram.end));
                end = gram.end;
            }
        }
    }
}

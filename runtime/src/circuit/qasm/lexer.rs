//! The words of an OpenQASM text: names, numbers, strings and signs, each with its line.

use super::QasmError;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

/// A word and its line, from 1.
#[derive(Clone, Copy)]
pub(super) struct Token<'t> {
    pub text: &'t str,
    pub line: usize,
}

/// The words from one place on.
#[derive(Default)]
pub(super) struct Cursor<'t> {
    pub tokens: Vec<Token<'t>>,
    pub at: usize,
    /// The line of the first `/*`, which only OpenQASM 3 has.
    pub block_comment: Option<usize>,
}

impl<'t> Cursor<'t> {
    /// The words of a text; spaces, comments and a byte-order mark are gone.
    pub fn new(text: &'t str) -> Result<Self, QasmError> {
        let mut cursor = Self::default();
        let mut rest = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut line = 1;
        while let Some(first) = rest.chars().next() {
            let length = length(rest, first).map_err(|what| QasmError { line, what })?;
            let (word, after) = rest.split_at(length);
            if word.starts_with("/*") {
                cursor.block_comment.get_or_insert(line);
            } else if !(first.is_whitespace() || word.starts_with("//")) {
                cursor.tokens.push(Token { text: word, line });
            }
            line += word.matches('\n').count();
            rest = after;
        }
        Ok(cursor)
    }

    /// The word `ahead` words from here; empty behind the end.
    pub fn peek(&self, ahead: usize) -> &'t str {
        self.tokens.get(self.at + ahead).map_or("", |token| token.text)
    }

    /// The line of the next word, or of the last.
    pub fn line(&self) -> usize {
        self.tokens.get(self.at).or(self.tokens.last()).map_or(1, |token| token.line)
    }

    pub fn advance(&mut self) -> &'t str {
        let text = self.peek(0);
        self.at += 1;
        text
    }

    pub fn eat(&mut self, text: &str) -> bool {
        let found = self.peek(0) == text;
        self.at += usize::from(found);
        found
    }

    pub fn take(&mut self, text: &str) -> Result<(), String> {
        if self.eat(text) { Ok(()) } else { Err(self.wanted(&format!("`{text}`"))) }
    }

    pub fn name(&mut self) -> Result<&'t str, String> {
        if is_name(self.peek(0)) { Ok(self.advance()) } else { Err(self.wanted("a name")) }
    }

    /// `[number]`, if that is here.
    pub fn size(&mut self) -> Result<Option<usize>, String> {
        if !self.eat("[") {
            return Ok(None);
        }
        let size = self.peek(0).parse().map_err(|_| self.wanted("a whole number"))?;
        self.at += 1;
        self.take("]")?;
        Ok(Some(size))
    }

    pub fn wanted(&self, what: &str) -> String {
        match self.peek(0) {
            "" => format!("{what} expected at the end of the text"),
            found => format!("{what} expected at `{found}`"),
        }
    }
}

pub(super) fn is_name(word: &str) -> bool {
    word.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

/// Bytes of the word, the comment or the space at the front of `rest`.
fn length(rest: &str, first: char) -> Result<usize, String> {
    let until = |end: fn(char) -> bool| rest.find(end).unwrap_or(rest.len());
    let second = rest[first.len_utf8()..].chars().next().unwrap_or(' ');
    Ok(match first {
        _ if first.is_whitespace() => until(|c| !c.is_whitespace()),
        '/' if second == '/' => until(|c| c == '\n'),
        '/' if second == '*' => rest[2..].find("*/").ok_or("a `/*` without its `*/`")? + 4,
        '"' | '\'' => match rest[1..].find(|c: char| c == first || c.is_control()) {
            Some(end) if rest[1 + end..].starts_with(first) => end + 2,
            _ => return Err("a string without its end".into()),
        },
        '.' if !second.is_ascii_digit() => 1,
        '.' | '0'..='9' => number(rest.as_bytes()),
        // A qubit of the chip: `$3`.
        '$' => rest[1..].find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len() - 1) + 1,
        _ if is_name(rest) => until(|c| !(c.is_alphanumeric() || c == '_')),
        '-' if second == '>' => 2,
        '*' if second == '*' => 2,
        _ if first.is_ascii_punctuation() => 1,
        _ => return Err(format!("{first:?} is no part of OpenQASM")),
    })
}

/// Bytes of a number; a sign belongs to it only after its exponent's letter.
fn number(bytes: &[u8]) -> usize {
    let inside = |i: usize, byte: u8| match byte {
        b'+' | b'-' => matches!(bytes[i - 1], b'e' | b'E'),
        _ => byte.is_ascii_alphanumeric() || byte == b'.' || byte == b'_',
    };
    (1..bytes.len()).find(|&i| !inside(i, bytes[i])).unwrap_or(bytes.len())
}

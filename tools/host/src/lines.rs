//! Lines of a file, each of bounded length: what every line-by-line format is read through.

use crate::files::{self, Input};
use std::io::{BufRead, BufReader, ErrorKind};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, anyhow, bail};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

/// The longest line or CSV record that is read, in bytes: 1 MiB.
pub const MAX_ROW_BYTES: usize = 1 << 20;

/// Opens a file, packed or not, or a pipe and tells its size; `kind` is what an error calls it.
pub fn open_file(path: &Path, kind: &str) -> Result<(Input, u64)> {
    let name = path.display();
    if path.is_dir() {
        bail!("{name}: is a directory; name a {kind}");
    }
    files::open(path).map_err(|e| {
        anyhow!("{name}: cannot open the {kind}: {e}; check the path and its permissions")
    })
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Line {
    End,
    /// The line is in the buffer, without its line end.
    Read,
    /// The line was longer than it may be and has been passed over.
    TooLong,
}

/// The lines of a file that are not blank, one in memory at a time.
pub struct Lines {
    path: PathBuf,
    reader: BufReader<Input>,
    /// Where the current line stands, counted from 1.
    pub number: u64,
    pub buffer: Vec<u8>,
    /// Whether the current line breaks off with the file, without a line end.
    pub torn: bool,
    /// Bytes up to the end of the current line.
    pub read: u64,
    /// Bytes up to the end of the last line that has a line end.
    pub whole: u64,
    /// The longest line that is read, in bytes.
    pub most: usize,
    /// Digest of all bytes read, where it is wanted.
    pub digest: Option<Sha256>,
}

impl Lines {
    pub fn new(path: &Path, file: Input) -> Self {
        Self {
            path: path.into(),
            reader: BufReader::with_capacity(1 << 16, file),
            number: 0,
            buffer: Vec::new(),
            torn: false,
            read: 0,
            whole: 0,
            most: MAX_ROW_BYTES,
            digest: None,
        }
    }

    /// Takes the next line that holds more than spaces.
    pub fn advance(&mut self) -> Result<Line> {
        loop {
            self.number += 1;
            let line = self.read_line()?;
            if self.number == 1 && self.buffer.starts_with(b"\xEF\xBB\xBF") {
                self.buffer.drain(..3);
            }
            if self.buffer.ends_with(b"\r") {
                self.buffer.pop();
            }
            if line != Line::Read || self.buffer.iter().any(|&b| b != b' ') {
                return Ok(line);
            }
        }
    }

    /// As [`Lines::advance`], for formats in which a line that is too long is an error; `false` at the end.
    pub fn next_row(&mut self) -> Result<bool> {
        match self.advance()? {
            Line::TooLong => Err(self.error(too_long(self.most))),
            line => Ok(line == Line::Read),
        }
    }

    fn read_line(&mut self) -> Result<Line> {
        self.buffer.clear();
        let (mut any, mut too_long) = (false, false);
        loop {
            let chunk = match self.reader.fill_buf() {
                Err(e) if e.kind() == ErrorKind::Interrupted => continue,
                Err(e) => return Err(self.error(format!("reading failed: {e}"))),
                Ok(chunk) => chunk,
            };
            let end = chunk.iter().position(|&b| b == b'\n');
            let part = &chunk[..end.unwrap_or(chunk.len())];
            let last = chunk.is_empty();
            any |= !last;
            too_long |= self.buffer.len() + part.len() > self.most;
            if !too_long {
                self.buffer.extend_from_slice(part);
            }
            let used = part.len() + usize::from(end.is_some());
            if let Some(digest) = &mut self.digest {
                digest.update(&chunk[..used]);
            }
            self.reader.consume(used);
            self.read += used as u64;
            if end.is_some() {
                self.whole = self.read;
            }
            if last || end.is_some() {
                self.torn |= any && last;
                return Ok(match (any, too_long) {
                    (false, _) => Line::End,
                    (true, true) => Line::TooLong,
                    (true, false) => Line::Read,
                });
            }
        }
    }

    /// An error in the current line.
    pub fn error(&self, what: impl AsRef<str>) -> anyhow::Error {
        anyhow!("{}:{}: {}", self.path.display(), self.number, what.as_ref())
    }
}

/// What is wrong with a line or record of more than `most` bytes.
pub fn too_long(most: usize) -> String {
    let most = most >> 10;
    format!(
        "the line is longer than {most} KiB; a row is one short text, split it or check the line ends"
    )
}

/// Bytes as text; the error names the field and the first bad byte, counted from 1.
pub fn utf8<'a>(field: &str, bytes: &'a [u8]) -> Result<&'a str, String> {
    std::str::from_utf8(bytes).map_err(|e| {
        let byte = e.valid_up_to() + 1;
        format!("field `{field}` is not UTF-8 from its byte {byte} on; save the file as UTF-8")
    })
}

/// What is said of a field of the wrong kind.
pub fn wrong_kind(field: &str, value: &Value, expected: &str) -> String {
    let found = match value {
        Value::Null => return format!("field `{field}` is missing; add it or delete the line"),
        Value::Bool(_) => "a boolean",
        Value::Number(n) if n.is_f64() => "a fraction",
        Value::Number(_) => "an integer",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    };
    format!("field `{field}` is {found}; it must be {expected}")
}

/// The lines of a text, errors with their number.
pub fn text_lines(name: String, reader: impl BufRead) -> impl Iterator<Item = Result<String>> {
    reader.lines().enumerate().map(move |(i, line)| match line {
        Err(e) if e.kind() == ErrorKind::InvalidData => {
            bail!("{name}:{}: not UTF-8; convert the file first", i + 1)
        }
        line => line.with_context(|| name.clone()),
    })
}

//! Bounded lines from a counted reader: what every line-by-line file format here is read through.

use std::io::{self, BufRead, Read};

use serde_json::Value;

/// The longest line or CSV record that is read, in bytes: 1 MiB.
pub const MAX_ROW_BYTES: usize = 1 << 20;

/// A reader that counts its bytes and refuses to go past a limit.
pub(crate) struct Counted<R> {
    inner: R,
    count: u64,
    limit: u64,
}

impl<R> Counted<R> {
    pub(crate) fn new(inner: R) -> Self {
        Self { inner, count: 0, limit: u64::MAX }
    }

    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// No read may start at or beyond this count.
    pub(crate) fn set_limit(&mut self, limit: u64) {
        self.limit = limit;
    }
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.count >= self.limit {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        let read = self.inner.read(buffer)?;
        self.count += u64::try_from(read).unwrap_or(u64::MAX);
        Ok(read)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Line {
    End,
    /// The line is in the buffer, without its `\n`.
    Read {
        /// Whether the line ended in `\n`; `false` only for the last line of a file.
        newline: bool,
    },
    /// The line was longer than [`MAX_ROW_BYTES`] and has been passed over.
    TooLong,
}

/// Reads one line into `line`, holding at most [`MAX_ROW_BYTES`] of it.
pub(crate) fn read_line(reader: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<Line> {
    line.clear();
    let mut any = false;
    let mut too_long = false;
    loop {
        let chunk = match reader.fill_buf() {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            other => other?,
        };
        let end = chunk.iter().position(|&b| b == b'\n');
        let part = &chunk[..end.unwrap_or(chunk.len())];
        let last = chunk.is_empty();
        any |= !last;
        too_long |= line.len() + part.len() > MAX_ROW_BYTES;
        if !too_long {
            line.extend_from_slice(part);
        }
        let used = part.len() + usize::from(end.is_some());
        reader.consume(used);
        if last || end.is_some() {
            return Ok(match (any, too_long) {
                (false, _) => Line::End,
                (true, true) => Line::TooLong,
                (true, false) => Line::Read { newline: end.is_some() },
            });
        }
    }
}

/// The name of a JSON value's kind, for error messages.
pub(crate) fn json_kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(n) if n.is_f64() => "a fraction",
        Value::Number(_) => "an integer",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

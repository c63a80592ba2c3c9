//! Label and text of one line or one CSV record, checked.
//!
//! The csv crate ends a file's last record whether or not its quotes are closed, and counts lines
//! from where it starts to look for a record. Both are mended here: two line feeds are appended to
//! the file, of which a closed record can take only one, and a record's first line is counted back
//! from its end.

use std::fs::File;
use std::io::{self, Chain, Read};
use std::path::Path;

use anyhow::{Result, anyhow, bail};
use csv::{ByteRecord, ErrorKind, Reader, ReaderBuilder, Terminator};
use serde::Deserialize;
use serde_json::Value;

use crate::data::lines::{MAX_ROW_BYTES, too_long, utf8, wrong_kind};

/// What a line of a line-by-line file holds.
#[derive(Debug, Clone, Copy)]
pub(super) enum LineFormat {
    Tsv,
    Json,
    Text,
}

/// A label and a text cut from the file, or what is wrong with them.
pub(super) type Cut = Result<(Option<String>, String), String>;

pub(super) fn cut_line(format: LineFormat, bytes: &[u8], labelled: bool) -> Cut {
    match format {
        LineFormat::Text => checked(None, bytes),
        LineFormat::Tsv => {
            let tab = bytes.iter().position(|&b| b == b'\t').ok_or(
                "no tab: fields `label` and `text` cannot be told apart; write `label<TAB>text`",
            )?;
            checked(labelled.then_some(&bytes[..tab]), &bytes[tab + 1..])
        }
        LineFormat::Json => cut_json(utf8("line", bytes)?, labelled),
    }
}

/// Cuts a JSON object; fields other than `text` and `label` are the caller's own and ignored.
fn cut_json(line: &str, labelled: bool) -> Cut {
    #[derive(Deserialize)]
    struct Object {
        #[serde(default)]
        text: Value,
        #[serde(default)]
        label: Value,
    }
    if !line.trim_start().starts_with('{') {
        return Err("the line is not a JSON object; write {\"text\": \"..\", \"label\": \"..\"} on one line".into());
    }
    let object: Object =
        serde_json::from_str(line).map_err(|e| format!("not valid JSON: {e}; correct the line"))?;
    let text = object.text.as_str().ok_or_else(|| wrong_kind("text", &object.text, "a string"))?;
    let label = match object.label {
        _ if !labelled => None,
        Value::String(label) => Some(label),
        Value::Number(n) if n.is_i64() || n.is_u64() => Some(n.to_string()),
        other => return Err(wrong_kind("label", &other, "a string or an integer")),
    };
    checked(label.as_deref().map(str::as_bytes), text.as_bytes())
}

/// The label trimmed, the text as it is; neither may be empty.
fn checked(label: Option<&[u8]>, text: &[u8]) -> Cut {
    let filled = |field, bytes| match utf8(field, bytes)? {
        blank if blank.trim().is_empty() => {
            Err(format!("field `{field}` is empty; fill it in or delete the row"))
        }
        text => Ok(text.to_owned()),
    };
    let label = label.map(|label| filled("label", label)).transpose()?;
    Ok((label.map(|label| label.trim().to_owned()), filled("text", text)?))
}

/// A reader that counts its bytes and refuses to go past a limit.
struct Counted<R> {
    inner: R,
    count: u64,
    /// No read may start at or beyond this count.
    limit: u64,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.count >= self.limit {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        let read = self.inner.read(buffer)?;
        self.count += read as u64;
        Ok(read)
    }
}

const BUFFER_BYTES: usize = 1 << 16;
const TAIL: &[u8] = b"\n\n";

/// A CSV file and where its two columns are.
pub(super) struct Table {
    reader: Reader<Chain<Counted<File>, &'static [u8]>>,
    record: ByteRecord,
    fields: usize,
    text: usize,
    label: Option<usize>,
}

impl Table {
    /// Reads the header. A file without one is left for the first [`Table::cut`] to find empty.
    pub(super) fn open(path: &Path, file: File, labelled: bool) -> Result<Self> {
        let counted = Counted { inner: file, count: 0, limit: u64::MAX };
        let mut table = Self {
            reader: ReaderBuilder::new()
                .has_headers(false)
                .flexible(true)
                // Only \n ends a record: with \r as well the crate's line count slips on CRLF.
                .terminator(Terminator::Any(b'\n'))
                .buffer_capacity(BUFFER_BYTES)
                .from_reader(counted.chain(TAIL)),
            record: ByteRecord::new(),
            fields: 0,
            text: 0,
            label: None,
        };
        if let Some(line) = table.read(path)? {
            let names: Vec<String> = table
                .record
                .iter()
                .map(|name| String::from_utf8_lossy(name).trim().to_ascii_lowercase())
                .collect();
            let column = |field: &str| {
                let mut found = names.iter().enumerate().filter(|(_, name)| *name == field);
                match (found.next(), found.next()) {
                    (Some((index, _)), None) => Ok(index),
                    _ => Err(anyhow!(
                        "{}:{line}: the header must name one column `{field}`, it names `{}`; add or rename the column",
                        path.display(),
                        names.join("`, `")
                    )),
                }
            };
            table.fields = names.len();
            table.text = column("text")?;
            table.label = labelled.then(|| column("label")).transpose()?;
        }
        Ok(table)
    }

    /// Bytes taken from the file so far.
    pub(super) fn bytes_read(&self) -> u64 {
        self.reader.get_ref().get_ref().0.count
    }

    /// The next record's line, and its label and text or what is wrong with them.
    pub(super) fn cut(&mut self, path: &Path) -> Result<Option<(u64, Cut)>> {
        Ok(self.read(path)?.map(|line| (line, self.columns())))
    }

    fn columns(&self) -> Cut {
        if self.record.as_slice().len() > MAX_ROW_BYTES {
            return Err(too_long(MAX_ROW_BYTES));
        }
        let (found, expected) = (self.record.len(), self.fields);
        if found != expected {
            return Err(format!(
                "{found} fields where the header has {expected}; put quotes around a field that contains a comma"
            ));
        }
        let field = |index| self.record.get(index).unwrap_or_default();
        checked(self.label.map(field), field(self.text))
    }

    /// Reads the next record that is not blank into `record`, returns the line it starts on.
    fn read(&mut self, path: &Path) -> Result<Option<u64>> {
        loop {
            let line = self.reader.position().line();
            let start = self.reader.position().byte();
            let limit = start + (MAX_ROW_BYTES + 2 * BUFFER_BYTES) as u64;
            self.reader.get_mut().get_mut().0.limit = limit;
            match self.reader.read_byte_record(&mut self.record) {
                Ok(true) => {}
                Ok(false) => return Ok(None),
                Err(error) => match error.into_kind() {
                    ErrorKind::Io(e) if e.kind() == io::ErrorKind::FileTooLarge => {
                        return Err(open_quote(path, line));
                    }
                    ErrorKind::Io(e) => bail!("{}:{line}: reading failed: {e}", path.display()),
                    e => bail!("{}:{line}: reading failed: {e:?}", path.display()),
                },
            }
            let end = self.reader.position();
            let inside = self.record.as_slice().iter().filter(|&&b| b == b'\n');
            let closed = end.byte() < self.bytes_read() + 2;
            // A closed record's own line feed has been counted, an open one's is a field's.
            let first = end.line().saturating_sub(inside.count() as u64 + u64::from(closed));
            if !closed {
                return Err(open_quote(path, first));
            }
            // Of a CRLF line end the \r is still in the last field.
            if self.record.as_slice().ends_with(b"\r") {
                let mut fields: Vec<Vec<u8>> = self.record.iter().map(<[u8]>::to_vec).collect();
                fields.last_mut().map(Vec::pop);
                self.record = fields.into();
            }
            let blank = self.record.len() == 1 && self.record.as_slice().iter().all(|&b| b == b' ');
            if !blank {
                return Ok(Some(first));
            }
        }
    }
}

/// No later row can be told apart.
fn open_quote(path: &Path, line: u64) -> anyhow::Error {
    let (path, most) = (path.display(), MAX_ROW_BYTES >> 10);
    anyhow!(
        "{path}:{line}: the record that starts here does not end within the file or {most} KiB; close its quote, or double the quotes inside the field"
    )
}

//! Label and text of one line or one CSV record, checked.
//!
//! The csv crate ends a file's last record whether or not its quotes are closed, and counts lines
//! from where it starts to look for a record. Both are mended here: two line feeds are appended to
//! the file, of which a closed record can take only one, and a record's first line is counted back
//! from its end.

use std::fs::File;
use std::io::{self, Chain, Read};
use std::path::Path;

use csv::{ByteRecord, ErrorKind, Reader, ReaderBuilder, Terminator};
use serde::Deserialize;
use serde_json::Value;

use super::error::{DataError, DataFault, Fault};
use super::lines::{Counted, MAX_ROW_BYTES, json_kind};

/// What a line of a line-by-line file holds.
#[derive(Debug, Clone, Copy)]
pub(super) enum LineFormat {
    Tsv,
    Json,
    Text,
}

/// A label and a text cut from the file, or what is wrong with them.
pub(super) type Cut = Result<(Option<String>, String), Fault>;

pub(super) fn cut_line(format: LineFormat, bytes: &[u8], labelled: bool) -> Cut {
    match format {
        LineFormat::Text => Ok((None, checked_text(utf8("text", bytes)?)?)),
        LineFormat::Tsv => {
            let tab = bytes.iter().position(|&b| b == b'\t').ok_or(Fault::NoTab)?;
            let label = labelled.then(|| checked_label(utf8("label", &bytes[..tab])?));
            Ok((label.transpose()?, checked_text(utf8("text", &bytes[tab + 1..])?)?))
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
    let kind =
        |field, value: &Value, expected| Fault::Kind { field, found: json_kind(value), expected };
    if !line.trim_start().starts_with('{') {
        return Err(Fault::NotObject);
    }
    let object: Object = serde_json::from_str(line).map_err(|e| Fault::Json(e.to_string()))?;
    let text = match object.text {
        Value::String(text) => checked_text(&text)?,
        Value::Null => return Err(Fault::Missing { field: "text" }),
        other => return Err(kind("text", &other, "a string")),
    };
    let label = match object.label {
        _ if !labelled => None,
        Value::String(label) => Some(checked_label(&label)?),
        Value::Number(n) if n.is_i64() || n.is_u64() => Some(n.to_string()),
        Value::Null => return Err(Fault::Missing { field: "label" }),
        other => return Err(kind("label", &other, "a string or an integer")),
    };
    Ok((label, text))
}

/// Bytes as text, or the fault that names the field and the first bad byte, counted from 1.
fn utf8<'a>(field: &'static str, bytes: &'a [u8]) -> Result<&'a str, Fault> {
    std::str::from_utf8(bytes).map_err(|e| Fault::Utf8 { field, byte: e.valid_up_to() + 1 })
}

fn checked_label(label: &str) -> Result<String, Fault> {
    match label.trim() {
        "" => Err(Fault::Blank { field: "label" }),
        label => Ok(label.to_owned()),
    }
}

fn checked_text(text: &str) -> Result<String, Fault> {
    if text.trim().is_empty() { Err(Fault::Blank { field: "text" }) } else { Ok(text.to_owned()) }
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
    pub(super) fn open(path: &Path, file: File, labelled: bool) -> Result<Self, DataError> {
        let mut table = Self {
            reader: ReaderBuilder::new()
                .has_headers(false)
                .flexible(true)
                // Only \n ends a record: with \r as well the crate's line count slips on CRLF.
                .terminator(Terminator::Any(b'\n'))
                .buffer_capacity(BUFFER_BYTES)
                .from_reader(Counted::new(file).chain(TAIL)),
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
            let column = |field: &'static str| {
                let mut found = names.iter().enumerate().filter(|(_, name)| *name == field);
                match (found.next(), found.next()) {
                    (Some((index, _)), None) => Ok(index),
                    _ => {
                        let found = format!("`{}`", names.join("`, `"));
                        Err(DataError::at(path, line, DataFault::Header { field, found }))
                    }
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
        self.reader.get_ref().get_ref().0.count()
    }

    /// The next record's line, and its label and text or what is wrong with them.
    pub(super) fn cut(&mut self, path: &Path) -> Result<Option<(u64, Cut)>, DataError> {
        Ok(self.read(path)?.map(|line| (line, self.columns())))
    }

    fn columns(&self) -> Cut {
        if self.record.as_slice().len() > MAX_ROW_BYTES {
            return Err(Fault::TooLong);
        }
        if self.record.len() != self.fields {
            return Err(Fault::Fields { found: self.record.len(), expected: self.fields });
        }
        let field = |name, index| utf8(name, self.record.get(index).unwrap_or_default());
        let label = self.label.map(|index| checked_label(field("label", index)?));
        Ok((label.transpose()?, checked_text(field("text", self.text)?)?))
    }

    /// Reads the next record that is not blank into `record`, returns the line it starts on.
    fn read(&mut self, path: &Path) -> Result<Option<u64>, DataError> {
        loop {
            let line = self.reader.position().line();
            let start = self.reader.position().byte();
            let limit = start + u64::try_from(MAX_ROW_BYTES + 2 * BUFFER_BYTES).unwrap_or(u64::MAX);
            self.reader.get_mut().get_mut().0.set_limit(limit);
            match self.reader.read_byte_record(&mut self.record) {
                Ok(true) => {}
                Ok(false) => return Ok(None),
                Err(error) => return Err(failure(path, line, error)),
            }
            let end = self.reader.position();
            let inside = self.record.as_slice().iter().filter(|&&b| b == b'\n');
            let inside = u64::try_from(inside.count()).unwrap_or(u64::MAX);
            let closed = end.byte() < self.bytes_read() + 2;
            // A closed record's own line feed has been counted, an open one's is a field's.
            let first = end.line().saturating_sub(inside + u64::from(closed));
            if !closed {
                return Err(DataError::at(path, first, DataFault::OpenQuote));
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

fn failure(path: &Path, line: u64, error: csv::Error) -> DataError {
    let what = match error.into_kind() {
        ErrorKind::Io(e) if e.kind() == io::ErrorKind::FileTooLarge => DataFault::OpenQuote,
        ErrorKind::Io(e) => DataFault::Read(e),
        other => DataFault::Read(io::Error::other(format!("{other:?}"))),
    };
    DataError::at(path, line, what)
}

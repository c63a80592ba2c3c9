//! Label and text of one line or one CSV record, checked.
//!
//! The csv crate ends a file's last record whether or not its quotes are closed, and counts lines
//! from where it starts to look for a record. Both are mended here: two line feeds are appended to
//! the file, of which a closed record can take only one, and a record's first line is counted back
//! from its end.

use std::io::{self, Chain, Read};
use std::path::Path;

use crate::columns::{is_label, of_first_row, of_header};
use crate::errors::wrong_use;
use crate::files::Input;
use crate::terminal::note_once;
use anyhow::{Result, anyhow, bail};
use csv::{ByteRecord, ErrorKind, Reader, ReaderBuilder, Terminator};
use serde::Deserialize;
use serde_json::Value;

use super::options::{Labels, RowOptions};
use crate::lines::{Lines, MAX_ROW_BYTES, open_file, too_long, utf8, wrong_kind};

/// What a line of a line-by-line file holds.
#[derive(Debug, Clone)]
pub(super) enum LineFormat {
    Tsv(Columns),
    Json,
    /// One text a line, perhaps with fastText's label in front.
    Text,
}

impl LineFormat {
    pub(super) fn is_header(&self, line: u64) -> bool {
        matches!(self, Self::Tsv(Columns { header: Some(first), .. }) if *first == line)
    }
}

/// Where label and text stand.
#[derive(Debug, Clone)]
pub(super) struct Columns {
    label: Option<usize>,
    text: usize,
    /// Columns of every row; without it the first tab ends the label and the text is the rest.
    fields: Option<usize>,
    /// The header's line.
    header: Option<u64>,
}

impl Columns {
    /// Looks whether a TSV file has a header, and for the columns that are asked for.
    pub(super) fn of_tsv(path: &Path, options: &RowOptions, labels: Labels) -> Result<Self> {
        let mut lines = Lines::new(path, open_file(path, "data file")?.0);
        lines.advance()?;
        let (line, number) = (String::from_utf8_lossy(&lines.buffer), lines.number);
        let names: Vec<&str> = line.split('\t').collect();
        let asked = [&options.label_column, &options.text_column];
        let by_name = asked.iter().any(|c| c.as_ref().is_some_and(|c| c.parse::<u64>().is_err()));
        let known = of_first_row(&names);
        let first = (labels != Labels::None).then_some(0);
        let plain = Self { label: first, text: 1, fields: None, header: None };
        if known.is_none() && asked.iter().all(|c| c.is_none()) {
            return Ok(plain);
        }
        let header = (by_name || known.is_some()).then_some(number);
        let (label, text) = places(path, number, &names, options, labels)?;
        if header.is_some() {
            say_header(path, number, &names, (label, text));
        }
        let usual = text == 1 && label.is_none_or(|label| label == 0);
        let fields = (names.len() != 2 || !usual).then_some(names.len());
        Ok(Self { label, text, fields, header })
    }

    fn cut(&self, line: &[u8]) -> Cut {
        let Some(expected) = self.fields else {
            let tab = line.iter().position(|&b| b == b'\t').ok_or(
                "no tab: fields `label` and `text` cannot be told apart; write `label<TAB>text`",
            )?;
            return checked(self.label.map(|_| &line[..tab]), &line[tab + 1..]);
        };
        let fields: Vec<&[u8]> = line.split(|&b| b == b'\t').collect();
        if fields.len() != expected {
            return Err(format!("{} fields where the first row has {expected}", fields.len()));
        }
        checked(self.label.map(|label| fields[label]), fields[self.text])
    }
}

/// The columns of label and text: those asked for, else those that the names tell.
fn places(
    path: &Path,
    line: u64,
    names: &[&str],
    options: &RowOptions,
    labels: Labels,
) -> Result<(Option<usize>, usize)> {
    let guessed = of_header(names);
    let place = |asked: &Option<String>, guess: Option<usize>, field: &str| {
        let Some(asked) = asked else {
            let shown = names.join("`, `");
            let tell = || {
                anyhow!(
                    "{}:{line}: the header must name one column `{field}`, it names `{shown}`; rename the column, or tell it by --{field}-column NAME",
                    path.display()
                )
            };
            return guess.ok_or_else(tell);
        };
        let same = |name: &&str| name.trim().eq_ignore_ascii_case(asked.trim());
        let named = names.iter().position(same);
        let number = asked.parse::<usize>().ok().and_then(|n| n.checked_sub(1));
        named.or(number).filter(|&n| n < names.len()).ok_or_else(|| {
            wrong_use(format!(
                "{}:{line}: there is no column `{asked}` (--{field}-column); the first row is `{}`",
                path.display(),
                names.join("`, `")
            ))
        })
    };
    let label = match labels {
        Labels::None => None,
        Labels::Some if options.label_column.is_none() => {
            guessed.0.filter(|&label| is_label(names[label]))
        }
        _ => Some(place(&options.label_column, guessed.0, "label")?),
    };
    // Of two columns the other is the text's.
    let other = label.filter(|_| names.len() == 2).map(|label| 1 - label);
    let text = place(&options.text_column, guessed.1.or(other), "text")?;
    if label == Some(text) {
        return Err(wrong_use(format!("{}: label and text are one column", path.display())));
    }
    Ok((label, text))
}

fn say_header(path: &Path, line: u64, names: &[&str], (label, text): (Option<usize>, usize)) {
    let label =
        label.map_or(String::new(), |c| format!("labels from column `{}`, ", names[c].trim()));
    let (path, text) = (path.display(), names[text].trim());
    note_once(format!("{path}:{line}: a header; {label}texts from column `{text}`"));
}

/// A label and a text cut from the file, or what is wrong with them.
pub(super) type Cut = Result<(Option<String>, String), String>;

pub(super) fn cut_line(format: &LineFormat, bytes: &[u8], labels: Labels) -> Cut {
    match format {
        LineFormat::Text => cut_fasttext(bytes, labels),
        LineFormat::Tsv(columns) => columns.cut(bytes),
        LineFormat::Json => cut_json(utf8("line", bytes)?, labels),
    }
}

/// Cuts what fastText learns from, `__label__NAME` and a text; without labels any line is a text.
fn cut_fasttext(line: &[u8], labels: Labels) -> Cut {
    let marked = |line: &[u8]| line.starts_with(LABEL);
    let (label, text) = match line.iter().position(u8::is_ascii_whitespace) {
        _ if !marked(line) => (None, line),
        Some(end) => (Some(&line[LABEL.len()..end]), line[end..].trim_ascii_start()),
        None => (Some(&line[LABEL.len()..]), &[][..]),
    };
    if labels == Labels::All && label.is_none() {
        return Err("no label: a .txt file holds texts without labels, or lines of fastText, which begin `__label__NAME`; give these, a .tsv of `label<TAB>text`, a .csv or a .jsonl".into());
    }
    if marked(text) {
        return Err("several labels; a text has one class".into());
    }
    checked(label.filter(|_| labels != Labels::None), text)
}

const LABEL: &[u8] = b"__label__";

/// Cuts a JSON object; fields other than `text` and `label` are the caller's own and ignored.
fn cut_json(line: &str, labels: Labels) -> Cut {
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
        _ if labels == Labels::None => None,
        Value::Null if labels == Labels::Some => None,
        Value::String(label) => Some(label),
        Value::Number(n) if n.is_i64() || n.is_u64() => Some(n.to_string()),
        other => return Err(wrong_kind("label", &other, "a string or an integer")),
    };
    checked(label.as_deref().map(str::as_bytes), text.as_bytes())
}

/// Label and text as they are; neither may be empty.
fn checked(label: Option<&[u8]>, text: &[u8]) -> Cut {
    let filled = |field, bytes| match utf8(field, bytes)? {
        blank if blank.trim().is_empty() => {
            Err(format!("field `{field}` is empty; fill it in or delete the row"))
        }
        text => Ok(text.to_owned()),
    };
    let label = label.map(|label| filled("label", label)).transpose()?;
    Ok((label, filled("text", text)?))
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
    reader: Reader<Chain<Counted<Input>, &'static [u8]>>,
    record: ByteRecord,
    fields: usize,
    text: usize,
    label: Option<usize>,
}

impl Table {
    /// Reads the header. A file without one is left for the first [`Table::cut`] to find empty.
    pub(super) fn open(
        path: &Path,
        file: Input,
        options: &RowOptions,
        labels: Labels,
    ) -> Result<Self> {
        let counted = Counted { inner: file, count: 0, limit: u64::MAX };
        let mut table = Self {
            reader: ReaderBuilder::new()
                .has_headers(false)
                .flexible(true)
                .delimiter(options.delimiter.unwrap_or(',') as u8)
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
            let names: Vec<_> = table.record.iter().map(String::from_utf8_lossy).collect();
            let names: Vec<&str> = names.iter().map(AsRef::as_ref).collect();
            let (label, text) = places(path, line, &names, options, labels)?;
            let plain = |c: usize, name: &str| names[c].trim().eq_ignore_ascii_case(name);
            if !plain(text, "text") || label.is_some_and(|label| !plain(label, "label")) {
                say_header(path, line, &names, (label, text));
            }
            table.fields = names.len();
            (table.text, table.label) = (text, label);
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

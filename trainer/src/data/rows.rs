//! Data files as a stream of rows: TSV, CSV, JSON lines and plain text, one row in memory at a time.
//!
//! | extension | labelled | unlabelled |
//! | --- | --- | --- |
//! | `.tsv` | `label<TAB>text` | the same, label ignored |
//! | `.csv` | a header that names the columns `label` and `text` | column `text` |
//! | `.jsonl`, `.ndjson` | objects with `label` (string or integer) and `text` | `text` |
//! | `.txt` | refused | one text a line |
//!
//! Files are UTF-8; a byte order mark at the start is dropped and CRLF is a line end. A line of
//! nothing but spaces is blank and passed over. Everything else that is not a row is a *bad row*:
//! an error that names file, line, field and remedy, or counted and left out by choice
//! ([`BadRows`]), never lost silently. A label is trimmed of white space; a text is kept exactly
//! as read, because [`text_digest`] is its identity in caches and soft labels.

mod error;
mod fields;
mod lines;

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

pub use error::{DataError, DataFault, Fault};
use fields::{Cut, LineFormat, Table, cut_line};
pub use lines::MAX_ROW_BYTES;
pub(crate) use lines::{Counted, Line, json_kind, read_line};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Line of the file the row starts on, counted from 1.
    pub line: u64,
    /// The label, trimmed and never empty; `None` when the file was opened as unlabelled.
    pub label: Option<String>,
    /// The text exactly as read, without its line end; never blank.
    pub text: String,
}

/// What to do with a bad row.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BadRows {
    /// Stop with an error that names the row.
    #[default]
    Refuse,
    /// Leave the row out and count it.
    Skip,
}

enum Source {
    Lines { format: LineFormat, reader: BufReader<Counted<File>>, line: u64, buffer: Vec<u8> },
    Table(Box<Table>),
}

/// The rows of one data file, read as the iterator is driven.
///
/// After an error the iterator ends. A file without a single good row ends in
/// [`DataFault::Empty`], so a caller that sees no error has seen at least one row.
pub struct Rows {
    path: PathBuf,
    labelled: bool,
    bad: BadRows,
    source: Source,
    bytes_total: u64,
    good: u64,
    skipped: u64,
    done: bool,
}

impl Rows {
    /// Opens a file whose rows carry labels.
    pub fn labelled(path: &Path, bad: BadRows) -> Result<Self, DataError> {
        Self::open(path, bad, true)
    }

    /// Opens a file for its texts alone; labels, where there are any, are ignored.
    pub fn unlabelled(path: &Path, bad: BadRows) -> Result<Self, DataError> {
        Self::open(path, bad, false)
    }

    fn open(path: &Path, bad: BadRows, labelled: bool) -> Result<Self, DataError> {
        let extension =
            path.extension().and_then(|e| e.to_str()).unwrap_or_default().to_ascii_lowercase();
        let format = match extension.as_str() {
            "tsv" => Some(LineFormat::Tsv),
            "jsonl" | "ndjson" => Some(LineFormat::Json),
            "txt" if labelled => return Err(DataError::new(path, DataFault::NoLabels)),
            "txt" => Some(LineFormat::Text),
            "csv" => None,
            _ => {
                let all = ".txt, .tsv, .csv, .jsonl, .ndjson";
                let accepted = if labelled { all.trim_start_matches(".txt, ") } else { all };
                return Err(DataError::new(path, DataFault::Extension { accepted }));
            }
        };
        let (file, bytes_total) = open_file(path)?;
        let source = match format {
            Some(format) => Source::Lines {
                format,
                reader: BufReader::with_capacity(1 << 16, Counted::new(file)),
                line: 0,
                buffer: Vec::new(),
            },
            None => Source::Table(Box::new(Table::open(path, file, labelled)?)),
        };
        Ok(Self {
            path: path.into(),
            labelled,
            bad,
            source,
            bytes_total,
            good: 0,
            skipped: 0,
            done: false,
        })
    }

    /// Bad rows left out so far; always 0 under [`BadRows::Refuse`].
    pub fn skipped(&self) -> u64 {
        self.skipped
    }

    /// Bytes taken from the file so far: ahead of the current row by at most one read buffer,
    /// equal to [`Rows::bytes_total`] at the end.
    pub fn bytes_read(&self) -> u64 {
        match &self.source {
            Source::Lines { reader, .. } => reader.get_ref().count(),
            Source::Table(table) => table.bytes_read(),
        }
    }

    /// Size of the file when it was opened; 0 for a pipe.
    pub fn bytes_total(&self) -> u64 {
        self.bytes_total
    }

    /// The next non-blank line or record, good or bad; `None` at the end of the file.
    fn cut(&mut self) -> Result<Option<(u64, Cut)>, DataError> {
        let labelled = self.labelled;
        match &mut self.source {
            Source::Table(table) => table.cut(&self.path),
            Source::Lines { format, reader, line, buffer } => loop {
                *line += 1;
                let read = read_line(reader, buffer)
                    .map_err(|e| DataError::at(&self.path, *line, DataFault::Read(e)))?;
                match read {
                    Line::End => return Ok(None),
                    Line::TooLong => return Ok(Some((*line, Err(Fault::TooLong)))),
                    Line::Read { .. } => {}
                }
                let mut bytes = buffer.as_slice();
                if *line == 1 {
                    bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
                }
                bytes = bytes.strip_suffix(b"\r").unwrap_or(bytes);
                if bytes.iter().all(|&b| b == b' ') {
                    continue;
                }
                return Ok(Some((*line, cut_line(*format, bytes, labelled))));
            },
        }
    }
}

impl Iterator for Rows {
    type Item = Result<Row, DataError>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.done {
            let end = match self.cut() {
                Ok(Some((line, Ok((label, text))))) => {
                    self.good += 1;
                    return Some(Ok(Row { line, label, text }));
                }
                Ok(Some((_, Err(_)))) if self.bad == BadRows::Skip => {
                    self.skipped += 1;
                    continue;
                }
                Ok(Some((line, Err(fault)))) => {
                    Some(DataError::at(&self.path, line, DataFault::Row(fault)))
                }
                Ok(None) => (self.good == 0).then(|| {
                    DataError::new(&self.path, DataFault::Empty { skipped: self.skipped })
                }),
                Err(error) => Some(error),
            };
            self.done = true;
            return end.map(Err);
        }
        None
    }
}

/// SHA-256 of the text's bytes exactly as read: the identity of a text in caches and soft labels.
pub fn text_digest(text: &str) -> [u8; 32] {
    Sha256::digest(text.as_bytes()).into()
}

/// Opens a regular file or pipe and tells its size.
fn open_file(path: &Path) -> Result<(File, u64), DataError> {
    let open = |e| DataError::new(path, DataFault::Open(e));
    let file = File::open(path).map_err(open)?;
    let metadata = file.metadata().map_err(open)?;
    if metadata.is_dir() {
        return Err(DataError::new(path, DataFault::Directory));
    }
    Ok((file, metadata.len()))
}

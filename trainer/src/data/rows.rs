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
//! as read, because [`text_digest`](super::text_digest) is its identity in caches and soft labels.

mod fields;

use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow, bail};
use serde::{Deserialize, Serialize};

use super::lines::{Line, Lines, open_file, too_long};
use fields::{Cut, LineFormat, Table, cut_line};

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
    Lines(LineFormat, Lines),
    Table(Table),
}

/// The rows of one data file, read as the iterator is driven.
///
/// After an error the iterator ends. A file without a single good row ends in an error, so a caller
/// that sees none has seen at least one row.
pub struct Rows {
    path: PathBuf,
    labelled: bool,
    bad: BadRows,
    source: Source,
    /// Size of the file when it was opened; 0 for a pipe.
    pub bytes_total: u64,
    good: u64,
    /// Bad rows left out so far; always 0 under [`BadRows::Refuse`].
    pub skipped: u64,
    done: bool,
}

impl Rows {
    /// Opens a file whose rows carry labels.
    pub fn labelled(path: &Path, bad: BadRows) -> Result<Self> {
        Self::open(path, bad, true)
    }

    /// Opens a file for its texts alone; labels, where there are any, are ignored.
    pub fn unlabelled(path: &Path, bad: BadRows) -> Result<Self> {
        Self::open(path, bad, false)
    }

    fn open(path: &Path, bad: BadRows, labelled: bool) -> Result<Self> {
        let name = path.display();
        let extension = path.extension().unwrap_or_default().to_ascii_lowercase();
        let format = match extension.to_str().unwrap_or_default() {
            "tsv" => Some(LineFormat::Tsv),
            "jsonl" | "ndjson" => Some(LineFormat::Json),
            "txt" if labelled => bail!(
                "{name}: a .txt file holds texts without labels; give a .tsv of `label<TAB>text`, a .csv or a .jsonl"
            ),
            "txt" => Some(LineFormat::Text),
            "csv" => None,
            _ => {
                let text = if labelled { "" } else { ".txt, " };
                bail!(
                    "{name}: the extension does not tell the format; rename the file to one of {text}.tsv, .csv, .jsonl, .ndjson"
                );
            }
        };
        let (file, bytes_total) = open_file(path, "data file")?;
        let source = match format {
            Some(format) => Source::Lines(format, Lines::new(path, file)),
            None => Source::Table(Table::open(path, file, labelled)?),
        };
        let path = path.into();
        Ok(Self { path, labelled, bad, source, bytes_total, good: 0, skipped: 0, done: false })
    }

    /// Bytes taken from the file so far: ahead of the current row by at most one read buffer,
    /// equal to [`Rows::bytes_total`] at the end.
    pub fn bytes_read(&self) -> u64 {
        match &self.source {
            Source::Lines(_, lines) => lines.read,
            Source::Table(table) => table.bytes_read(),
        }
    }

    /// The next non-blank line or record, good or bad; `None` at the end of the file.
    fn cut(&mut self) -> Result<Option<(u64, Cut)>> {
        let (format, lines) = match &mut self.source {
            Source::Table(table) => return table.cut(&self.path),
            Source::Lines(format, lines) => (*format, lines),
        };
        let cut = match lines.advance()? {
            Line::End => return Ok(None),
            Line::TooLong => Err(too_long(lines.most)),
            Line::Read => cut_line(format, &lines.buffer, self.labelled),
        };
        Ok(Some((lines.number, cut)))
    }
}

impl Iterator for Rows {
    type Item = Result<Row>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.done {
            let cut = self.cut();
            let path = self.path.display();
            let end = match cut {
                Ok(Some((line, Ok((label, text))))) => {
                    self.good += 1;
                    return Some(Ok(Row { line, label, text }));
                }
                Ok(Some((_, Err(_)))) if self.bad == BadRows::Skip => {
                    self.skipped += 1;
                    continue;
                }
                Ok(Some((line, Err(fault)))) => Some(anyhow!(
                    "{path}:{line}: {fault}; or pass `--bad-rows skip` to leave bad rows out"
                )),
                Ok(None) => (self.good == 0).then(|| {
                    let skipped = self.skipped;
                    anyhow!(
                        "{path}: no rows ({skipped} bad rows skipped); give a file with at least one text"
                    )
                }),
                Err(error) => Some(error),
            };
            self.done = true;
            return end.map(Err);
        }
        None
    }
}

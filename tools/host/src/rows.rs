//! Data files as a stream of rows: TSV, CSV, JSON lines and plain text, one row in memory at a time.
//!
//! | extension | labelled | unlabelled |
//! | --- | --- | --- |
//! | `.tsv` | `label<TAB>text`, with or without a header | the same, label ignored |
//! | `.csv` | a header that names the columns | column of the text |
//! | `.jsonl`, `.ndjson` | objects with `label` (string or integer) and `text` | `text` |
//! | `.txt`, `.ft` | fastText's lines, `__label__NAME text` | one text a line |
//!
//! With `.gz` behind these the file is unpacked; what `-`, standard input, holds is told by its first line. Columns are
//! known by their names ([`columns`](crate::columns)) or named by [`RowOptions`].
//!
//! Files are UTF-8; a byte order mark at the start is dropped and CRLF is a line end. A line of
//! nothing but spaces is blank and passed over. Everything else that is not a row is a *bad row*:
//! an error that names file, line, field and remedy, or counted and left out by choice
//! ([`BadRows`]), never lost silently. A label is trimmed of white space, which is said; a text is kept exactly
//! as read, because its digest is its identity in caches and soft labels.

mod fields;
mod options;

use std::io::BufReader;
use std::path::{Path, PathBuf};

use crate::files::ending;
use crate::guard::is_standard;
use crate::lines::{Line, Lines, open_file, text_lines, too_long};
use crate::terminal::note_once;
use anyhow::{Result, anyhow, bail};
use fields::{Columns, Cut, LineFormat, Table, cut_line};

use options::Labels;
pub use options::{BadRows, RowOptions};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Line of the file the row starts on, counted from 1.
    pub line: u64,
    /// The label, trimmed and never empty; `None` where there is none or none is wanted.
    pub label: Option<String>,
    /// The text exactly as read, without its line end; never blank.
    pub text: String,
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
    labels: Labels,
    bad: BadRows,
    source: Source,
    /// Size of the file when it was opened; 0 for a pipe or a packed file.
    pub bytes_total: u64,
    good: u64,
    /// Bad rows left out so far; always 0 under [`BadRows::Refuse`].
    pub skipped: u64,
    /// Labels with white space around them.
    trimmed: u64,
    done: bool,
}

impl Rows {
    /// Opens a file whose rows carry labels.
    pub fn labelled(path: &Path, options: impl Into<RowOptions>) -> Result<Self> {
        Self::open(path, &options.into(), Labels::All)
    }

    /// Opens a file for its texts alone; labels, where there are any, are ignored.
    pub fn unlabelled(path: &Path, options: impl Into<RowOptions>) -> Result<Self> {
        Self::open(path, &options.into(), Labels::None)
    }

    /// Opens a file for its texts, with labels where there are any.
    pub fn perhaps_labelled(path: &Path, options: impl Into<RowOptions>) -> Result<Self> {
        Self::open(path, &options.into(), Labels::Some)
    }

    fn open(path: &Path, options: &RowOptions, labels: Labels) -> Result<Self> {
        let format = if is_standard(path) { of_content(path)? } else { of_name(path)? };
        let (file, bytes_total) = open_file(path, "data file")?;
        let source = match format {
            Format::Csv => Source::Table(Table::open(path, file, options, labels)?),
            Format::Tsv if options.delimiter.is_some() => {
                Source::Table(Table::open(path, file, options, labels)?)
            }
            Format::Tsv => {
                let columns = Columns::of_tsv(path, options, labels)?;
                Source::Lines(LineFormat::Tsv(columns), Lines::new(path, file))
            }
            Format::Json => Source::Lines(LineFormat::Json, Lines::new(path, file)),
            Format::Text => Source::Lines(LineFormat::Text, Lines::new(path, file)),
        };
        let (path, bad) = (path.into(), options.bad_rows);
        let (good, skipped, trimmed) = (0, 0, 0);
        Ok(Self { path, labels, bad, source, bytes_total, good, skipped, trimmed, done: false })
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
            Source::Lines(format, lines) => (&*format, lines),
        };
        loop {
            let cut = match lines.advance()? {
                Line::End => return Ok(None),
                Line::TooLong => Err(too_long(lines.most)),
                Line::Read if format.is_header(lines.number) => continue,
                Line::Read => cut_line(format, &lines.buffer, self.labels),
            };
            return Ok(Some((lines.number, cut)));
        }
    }

    /// The label without the white space around it.
    fn trim(&mut self, label: String) -> String {
        let trimmed = label.trim();
        self.trimmed += u64::from(trimmed.len() < label.len());
        trimmed.to_owned()
    }

    fn end(&self) -> Option<anyhow::Error> {
        let (path, skipped, trimmed) = (self.path.display(), self.skipped, self.trimmed);
        if trimmed > 0 {
            note_once(format!("{path}: white space around {trimmed} labels is taken off"));
        }
        (self.good == 0).then(|| {
            anyhow!(
                "{path}: no rows ({skipped} bad rows skipped); give a file with at least one text"
            )
        })
    }
}

/// The texts of a file to classify: of a table or JSON lines their column, which is said, else every line.
pub fn texts_of(
    path: &Path,
    options: &RowOptions,
) -> Result<Box<dyn Iterator<Item = Result<String>>>> {
    let format = if is_standard(path) { of_content(path) } else { of_name(path) };
    let name = path.display().to_string();
    match format {
        Ok(Format::Tsv | Format::Csv | Format::Json) => {
            note_once(format!("{name}: the column of texts is classified, labels are passed over"));
            Ok(Box::new(Rows::unlabelled(path, options)?.map(|row| Ok(row?.text))))
        }
        _ => Ok(Box::new(text_lines(name, BufReader::new(open_file(path, "file of texts")?.0)))),
    }
}

#[derive(Clone, Copy)]
enum Format {
    Tsv,
    Csv,
    Json,
    Text,
}

/// The format that a file's name tells.
fn of_name(path: &Path) -> Result<Format> {
    Ok(match &*ending(path) {
        "tsv" => Format::Tsv,
        "csv" => Format::Csv,
        "jsonl" | "ndjson" => Format::Json,
        "txt" | "ft" => Format::Text,
        _ => bail!(
            "{}: the extension does not tell the format; rename the file to one of .txt, .tsv, .csv, .jsonl, .ndjson, with .gz if it is packed",
            path.display()
        ),
    })
}

/// The format that the first line tells.
fn of_content(path: &Path) -> Result<Format> {
    let mut lines = Lines::new(path, open_file(path, "data file")?.0);
    lines.advance()?;
    let line = String::from_utf8_lossy(&lines.buffer);
    let commas: Vec<&str> = line.split(',').collect();
    Ok(match () {
        () if line.trim_start().starts_with('{') => Format::Json,
        () if line.contains('\t') => Format::Tsv,
        () if crate::columns::of_first_row(&commas).is_some() => Format::Csv,
        () => Format::Text,
    })
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
                    let label = label.map(|label| self.trim(label));
                    return Some(Ok(Row { line, label, text }));
                }
                Ok(Some((_, Err(_)))) if self.bad == BadRows::Skip => {
                    self.skipped += 1;
                    continue;
                }
                Ok(Some((line, Err(fault)))) => Some(anyhow!(
                    "{path}:{line}: {fault}; or pass `--bad-rows skip` to leave bad rows out"
                )),
                Ok(None) => self.end(),
                Err(error) => Some(error),
            };
            self.done = true;
            return end.map(Err);
        }
        None
    }
}

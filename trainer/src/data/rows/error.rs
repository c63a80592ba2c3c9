//! What can be wrong with a data file, said with file, line, field and remedy.

use std::io;
use std::path::PathBuf;

use super::lines::MAX_ROW_BYTES;

/// A data file that cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// The file is missing or may not be read.
    #[error("{}: cannot open the data file: {reason}; check the path and its permissions", path.display())]
    Open { path: PathBuf, reason: io::Error },
    #[error("{}: is a directory; name one data file in it", path.display())]
    Directory { path: PathBuf },
    /// The extension does not say which format the file has.
    #[error("{}: the extension does not tell the format; rename the file to one of {accepted}", path.display())]
    Extension { path: PathBuf, accepted: &'static str },
    /// A `.txt` file where labels are needed.
    #[error("{}: a .txt file holds texts without labels; give a .tsv of `label<TAB>text`, a .csv or a .jsonl", path.display())]
    NoLabels { path: PathBuf },
    #[error("{}:{line}: reading failed: {reason}", path.display())]
    Read { path: PathBuf, line: u64, reason: io::Error },
    /// A CSV header that does not name a column that is needed, or names it twice.
    #[error("{}:{line}: the header must name one column `{field}`, it names {found}; add or rename the column", path.display())]
    Header { path: PathBuf, line: u64, field: &'static str, found: String },
    /// A CSV record that never ends, so that no later row can be told apart.
    #[error("{}:{line}: the record that starts here does not end within the file or {} KiB; close its quote, or double the quotes inside the field", path.display(), MAX_ROW_BYTES >> 10)]
    OpenQuote { path: PathBuf, line: u64 },
    /// A bad row, when bad rows are refused.
    #[error("{}:{line}: {fault}; or pass `--bad-rows skip` to leave bad rows out", path.display())]
    Row { path: PathBuf, line: u64, fault: Fault },
    #[error("{}: no rows ({skipped} bad rows skipped); give a file with at least one text", path.display())]
    Empty { path: PathBuf, skipped: u64 },
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    #[error("no tab: fields `label` and `text` cannot be told apart; write `label<TAB>text`")]
    NoTab,
    /// A field of nothing but white space.
    #[error("field `{field}` is empty; fill it in or delete the row")]
    Blank { field: &'static str },
    #[error("field `{field}` is missing; add it")]
    Missing { field: &'static str },
    #[error("field `{field}` is not UTF-8 from its byte {byte} on; save the file as UTF-8")]
    Utf8 {
        /// The field, or `line` when fields could not be told apart yet.
        field: &'static str,
        /// The first offending byte, counted from 1 within the field.
        byte: usize,
    },
    /// A JSON line that is not an object.
    #[error(
        "the line is not a JSON object; write {{\"text\": \"..\", \"label\": \"..\"}} on one line"
    )]
    NotObject,
    /// A JSON object that does not parse.
    #[error("not valid JSON: {0}; correct the line")]
    Json(String),
    /// A JSON field of the wrong kind.
    #[error("field `{field}` is {found}; it must be {expected}")]
    Kind { field: &'static str, found: &'static str, expected: &'static str },
    /// A CSV record with more or fewer fields than its header.
    #[error(
        "{found} fields where the header has {expected}; put quotes around a field that contains a comma"
    )]
    Fields { found: usize, expected: usize },
    #[error("the line is longer than {} KiB; a row is one short text, split it or check the line ends", MAX_ROW_BYTES >> 10)]
    TooLong,
}

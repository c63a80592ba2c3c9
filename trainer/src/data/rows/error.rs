//! What can be wrong with a data file, said with file, line, field and remedy.

use std::io;

use qdllm_host::errors::FileError;

use super::lines::MAX_ROW_BYTES;

/// A data file that cannot be read.
pub type DataError = FileError<DataFault>;

/// What is wrong with the file, or with the line that [`DataError`] names.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataFault {
    #[error("cannot open the data file: {0}; check the path and its permissions")]
    Open(io::Error),
    #[error("is a directory; name one data file in it")]
    Directory,
    #[error("the extension does not tell the format; rename the file to one of {accepted}")]
    Extension { accepted: &'static str },
    #[error(
        "a .txt file holds texts without labels; give a .tsv of `label<TAB>text`, a .csv or a .jsonl"
    )]
    NoLabels,
    #[error("reading failed: {0}")]
    Read(io::Error),
    #[error(
        "the header must name one column `{field}`, it names {found}; add or rename the column"
    )]
    Header { field: &'static str, found: String },
    /// No later row can be told apart.
    #[error("the record that starts here does not end within the file or {} KiB; close its quote, or double the quotes inside the field", MAX_ROW_BYTES >> 10)]
    OpenQuote,
    /// Only where bad rows are refused.
    #[error("{0}; or pass `--bad-rows skip` to leave bad rows out")]
    Row(Fault),
    #[error("no rows ({skipped} bad rows skipped); give a file with at least one text")]
    Empty { skipped: u64 },
}

/// What is wrong with one row.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    #[error("no tab: fields `label` and `text` cannot be told apart; write `label<TAB>text`")]
    NoTab,
    #[error("field `{field}` is empty; fill it in or delete the row")]
    Blank { field: &'static str },
    #[error("field `{field}` is missing; add it")]
    Missing { field: &'static str },
    #[error("field `{field}` is not UTF-8 from its byte {byte} on; save the file as UTF-8")]
    Utf8 {
        field: &'static str,
        /// The first offending byte, counted from 1 within the field.
        byte: usize,
    },
    #[error(
        "the line is not a JSON object; write {{\"text\": \"..\", \"label\": \"..\"}} on one line"
    )]
    NotObject,
    #[error("not valid JSON: {0}; correct the line")]
    Json(String),
    #[error("field `{field}` is {found}; it must be {expected}")]
    Kind { field: &'static str, found: &'static str, expected: &'static str },
    #[error(
        "{found} fields where the header has {expected}; put quotes around a field that contains a comma"
    )]
    Fields { found: usize, expected: usize },
    #[error("the line is longer than {} KiB; a row is one short text, split it or check the line ends", MAX_ROW_BYTES >> 10)]
    TooLong,
}

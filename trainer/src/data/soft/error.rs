//! What can be wrong with a soft label file, said with file, line, field and remedy.

use qdllm_host::errors::FileError;

use crate::data::MAX_ROW_BYTES;

pub(super) type SoftFile = FileError<SoftFault>;

/// A soft label file that cannot be read or added to.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SoftError {
    #[error(transparent)]
    File(#[from] FileError<SoftFault>),
    #[error(transparent)]
    Tensors(#[from] anyhow::Error),
    /// The texts whose order a safetensors file follows.
    #[error(transparent)]
    Texts(#[from] crate::data::DataError),
}

/// What is wrong with the file, or with the line that the error names.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SoftFault {
    #[error("cannot open the soft label file: {0}; check the path and its permissions")]
    Open(String),
    #[error("is a directory; name a soft label file")]
    Directory,
    #[error("reading failed: {0}")]
    Read(String),
    #[error(
        "writing failed: {0}; make room and run the same command again, it goes on where it stopped"
    )]
    Write(String),
    #[error("cannot be written: {0}")]
    Append(Box<Self>),
    #[error(
        "header field `{field}` is {found}, this run has {wanted}; give another output file, or delete this one to start again"
    )]
    OtherHeader { field: &'static str, found: String, wanted: String },
    #[error(
        "no header: line 1 must be {{\"qdllm_soft\":1,\"classes\":[..],\"teacher\":{{..}}}}; make the file with `qdllm teach`, or state the classes by --soft-classes"
    )]
    NoHeader,
    #[error(
        "header field `qdllm_soft` is {0}, this program reads 1; use the program that wrote it"
    )]
    Version(u64),
    #[error("header field `{field}` {problem}; make the file again with `qdllm teach`")]
    Header { field: &'static str, problem: String },
    #[error("the line is not UTF-8 from its byte {0} on; delete the line")]
    Utf8(usize),
    #[error("not valid JSON: {0}; delete the line and run `qdllm teach` again")]
    Json(String),
    #[error(
        "the last line breaks off; run the same `qdllm teach` again, it resumes, or delete the line"
    )]
    Torn,
    #[error("field `{field}` is missing; add it or delete the line")]
    Missing { field: &'static str },
    #[error("field `{field}` is {found}; it must be {expected}")]
    Kind { field: &'static str, found: &'static str, expected: &'static str },
    #[error(
        "field `text_sha256` is not 64 hex digits; write the SHA-256 of the text's UTF-8 bytes"
    )]
    Hex,
    #[error(
        "field `logits` holds a number that is not finite at place {0}; teach this text again or delete the line"
    )]
    NotFinite(usize),
    #[error(
        "field `logits` has {found} numbers, the header has {expected} classes; write one a class, in that order"
    )]
    Count { found: usize, expected: usize },
    #[error(
        "field `text_sha256` names a text of an earlier line, with other logits; delete one of the two lines"
    )]
    Contradiction,
    #[error(
        "the file has the classes `{found}`, --soft-classes says `{stated}`; logits stand in the file's order"
    )]
    Classes { found: String, stated: String },
    #[error(
        "the classes are stated nowhere: give --soft-classes in the order of the logits, or write them into the file's metadata (`classes`, a JSON list)"
    )]
    NoClasses,
    #[error(
        "has no tensor `text_sha256`: give the file of texts whose order the rows follow as --soft-texts"
    )]
    NoTexts,
    #[error(
        "{rows} rows for {texts} texts; give the file of texts whose order the rows follow, one row a text"
    )]
    Order { rows: usize, texts: usize },
    #[error("has both `text` and `text_sha256`; write one of them")]
    BothTexts,
    #[error("more than 2^32 texts; split the file")]
    TooMany,
    #[error("the line is longer than {} KiB; delete it", MAX_ROW_BYTES >> 10)]
    TooLong,
}

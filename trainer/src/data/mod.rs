//! Texts, labels, soft labels and vectors: read from files, checked, split.

pub mod classes;
pub mod corpus;
pub mod labelled;
pub mod review;
pub mod rows;
pub mod soft;
pub mod tensors;
pub mod vectors;

pub use rows::{BadRows, DataError, DataFault, Fault, MAX_ROW_BYTES, Row, Rows, text_digest};
pub(crate) use rows::{Line, json_kind, read_line};

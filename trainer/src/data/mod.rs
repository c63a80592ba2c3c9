//! Texts, labels, soft labels and vectors: read from files, checked, split.

pub mod class_weights;
pub mod classes;
pub mod conflicts;
pub mod corpus;
pub mod labelled;
mod lines;
pub mod near_duplicates;
pub mod review;
pub mod soft;
pub mod tensors;
pub mod vectors;

pub use lines::text_digest;
pub use qdllm_host::lines::text_lines;
pub use qdllm_host::rows::{BadRows, Row, RowOptions, Rows};

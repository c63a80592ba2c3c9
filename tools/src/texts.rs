//! Texts to classify, with what they should be classified as where a file says it.

use anyhow::Result;
use qdllm_host::rows::{Row, RowOptions, Rows};
use serde::{Deserialize, Serialize};
use std::path::Path;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Text {
    /// From 1; 0: from the command line.
    pub line: u64,
    /// What it should be classified as, where known.
    pub label: Option<String>,
    pub text: String,
}

/// The first `limit` texts of a file.
pub fn read(path: &Path, options: &RowOptions, limit: Option<usize>) -> Result<Vec<Text>> {
    let rows = Rows::perhaps_labelled(path, options)?.take(limit.unwrap_or(usize::MAX));
    let text = |row: Result<Row>| row.map(|Row { line, label, text }| Text { line, label, text });
    rows.map(text).collect()
}

//! Texts to classify, from a file: `label<TAB>text` (.tsv, a header is passed over), JSON lines with `text` and perhaps
//! `label` (.jsonl), or one text a line (.txt and standard input, `-`); `.gz` of each.

use anyhow::{Context as _, Result, bail, ensure};
use qdllm_host::columns::of_first_row;
use qdllm_host::files::{ending, read_text};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::path::Path;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Text {
    /// From 1.
    pub line: usize,
    /// What it should be classified as, where known.
    pub label: Option<String>,
    pub text: String,
}

/// The first `limit` texts of a file; blank lines are passed over.
pub fn read(path: &Path, limit: Option<usize>) -> Result<Vec<Text>> {
    let file = path.display();
    let content = read_text(path)?;
    let kind = ending(path);
    ensure!(
        kind != "csv",
        "{file}: CSV is not read here; give label, tab and text (.tsv), or .jsonl"
    );
    let content = content.strip_prefix('\u{feff}').unwrap_or(&content);
    let header = |(i, row): &(usize, &str)| {
        *i == 0
            && kind == "tsv"
            && of_first_row(&row.split('\t').collect::<Vec<_>>()) == Some((0, 1))
    };
    let rows = content.lines().enumerate().filter(|row| !header(row) && !row.1.trim().is_empty());
    let mut texts = Vec::new();
    for (i, row) in rows.take(limit.unwrap_or(usize::MAX)) {
        let line = i + 1;
        let (label, text) = parsed(&kind, row).with_context(|| format!("{file}:{line}"))?;
        texts.push(Text { line, label, text });
    }
    ensure!(!texts.is_empty(), "{file}: holds no text");
    Ok(texts)
}

fn parsed(kind: &str, row: &str) -> Result<(Option<String>, String)> {
    Ok(match kind {
        "tsv" => {
            let parts = row.split_once('\t');
            let (label, text) = parts.context("no tab; a row is a label, a tab and a text")?;
            ensure!(!label.trim().is_empty(), "the label is empty");
            (Some(label.trim().to_owned()), text.to_owned())
        }
        "jsonl" | "ndjson" => {
            let value: Value = serde_json::from_str(row)?;
            let text = value.get("text").and_then(Value::as_str);
            let label = match value.get("label") {
                None | Some(Value::Null) => None,
                Some(Value::String(s)) => Some(s.clone()),
                Some(Value::Number(n)) => Some(n.to_string()),
                Some(_) => bail!("field `label` is neither a string nor a number"),
            };
            (label, text.context("field `text` is missing or no string")?.to_owned())
        }
        _ => (None, row.to_owned()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str, content: &str, limit: Option<usize>) -> Result<Vec<Text>> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        read(&path, limit)
    }

    #[test]
    fn rows_keep_their_lines_and_labels() {
        let rows =
            file("a.tsv", "\u{feff}on\tturn it on\r\n\n off \tturn\tit off\n", None).unwrap();
        assert_eq!(rows.len(), 2);
        let headed = file("a.tsv", "Label\ttext\non\tturn it on\n", None).unwrap();
        assert_eq!((headed.len(), headed[0].line), (1, 2));
        assert_eq!((rows[0].label.as_deref(), rows[0].text.as_str()), (Some("on"), "turn it on"));
        assert_eq!((rows[1].line, rows[1].text.as_str()), (3, "turn\tit off"));
        let rows = file("a.jsonl", "{\"text\":\"x\",\"label\":2}\n{\"text\":\"y\"}\n", Some(1));
        assert_eq!(rows.unwrap()[0].label.as_deref(), Some("2"));
        assert_eq!(file("a.txt", "one\ttext\n", None).unwrap()[0].label, None);
    }

    #[test]
    fn bad_rows_are_named_with_file_and_line() {
        let refused = |name, content| format!("{:#}", file(name, content, None).unwrap_err());
        assert!(refused("a.tsv", "on\tx\nno tab\n").contains("a.tsv:2: no tab"));
        assert!(refused("a.tsv", "\tx\n").contains("label is empty"));
        assert!(refused("a.jsonl", "{\"label\":\"x\"}\n").contains("`text` is missing"));
        assert!(refused("a.tsv", "\n \n").contains("holds no text"));
    }
}

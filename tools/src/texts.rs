//! Texts to classify, from a file: `label<TAB>text` (.tsv), JSON lines with `text` and perhaps
//! `label` (.jsonl), or one text a line (anything else).

use serde_json::Value;
use std::path::Path;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text {
    /// Its line in the file, from 1.
    pub line: usize,
    pub label: Option<String>,
    pub text: String,
}

#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TextsError {
    #[error("{file}: cannot be read")]
    Unreadable { file: String, source: std::io::Error },
    #[error("{file}:{line}: {what}")]
    BadRow { file: String, line: usize, what: String },
    #[error("{0}: holds no text")]
    Empty(String),
}

/// The first `limit` texts of a file; blank lines are passed over.
pub fn read(path: &Path, limit: Option<usize>) -> Result<Vec<Text>, TextsError> {
    let file = path.display().to_string();
    let content = std::fs::read_to_string(path)
        .map_err(|source| TextsError::Unreadable { file: file.clone(), source })?;
    let kind = path.extension().and_then(|e| e.to_str()).unwrap_or("");
    let content = content.strip_prefix('\u{feff}').unwrap_or(&content);
    let rows = content.lines().enumerate().filter(|(_, row)| !row.trim().is_empty());
    let all: Result<Vec<Text>, TextsError> = rows
        .take(limit.unwrap_or(usize::MAX))
        .map(|(i, row)| {
            let bad = |what| TextsError::BadRow { file: file.clone(), line: i + 1, what };
            let (label, text) = parsed(kind, row).map_err(bad)?;
            Ok(Text { line: i + 1, label, text })
        })
        .collect();
    match all {
        Ok(texts) if texts.is_empty() => Err(TextsError::Empty(file)),
        other => other,
    }
}

fn parsed(kind: &str, row: &str) -> Result<(Option<String>, String), String> {
    match kind {
        "tsv" => match row.split_once('\t') {
            Some((label, _)) if label.trim().is_empty() => Err("the label is empty".into()),
            Some((label, text)) => Ok((Some(label.trim().to_owned()), text.to_owned())),
            None => Err("no tab; a row is a label, a tab and a text".into()),
        },
        "jsonl" | "ndjson" => {
            let value: Value = serde_json::from_str(row).map_err(|e| e.to_string())?;
            let text = value.get("text").and_then(Value::as_str);
            let label = match value.get("label") {
                None | Some(Value::Null) => None,
                Some(Value::String(s)) => Some(s.clone()),
                Some(Value::Number(n)) => Some(n.to_string()),
                Some(_) => return Err("field `label` is neither a string nor a number".into()),
            };
            Ok((label, text.ok_or("field `text` is missing or no string")?.to_owned()))
        }
        _ => Ok((None, row.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str, content: &str, limit: Option<usize>) -> Result<Vec<Text>, TextsError> {
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
        assert_eq!((rows[0].label.as_deref(), rows[0].text.as_str()), (Some("on"), "turn it on"));
        assert_eq!((rows[1].line, rows[1].text.as_str()), (3, "turn\tit off"));
        let rows = file("a.jsonl", "{\"text\":\"x\",\"label\":2}\n{\"text\":\"y\"}\n", Some(1));
        assert_eq!(rows.unwrap()[0].label.as_deref(), Some("2"));
        assert_eq!(file("a.txt", "one\ttext\n", None).unwrap()[0].label, None);
    }

    #[test]
    fn bad_rows_are_named_with_file_and_line() {
        let refused = |name, content| file(name, content, None).unwrap_err().to_string();
        assert!(refused("a.tsv", "on\tx\nno tab\n").contains("a.tsv:2: no tab"));
        assert!(refused("a.tsv", "\tx\n").contains("label is empty"));
        assert!(refused("a.jsonl", "{\"label\":\"x\"}\n").contains("`text` is missing"));
        assert!(refused("a.tsv", "\n \n").contains("holds no text"));
    }
}

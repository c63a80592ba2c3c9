//! Texts from a data file: `label<TAB>text` lines (`.tsv`), or a text a line (`.txt`).

use super::JobError;
use super::job::Text;
use std::path::Path;

/// The first `most` texts of a file. Blank lines are passed over; a bad line is an error.
///
/// # Errors
/// [`JobError`] with the file's name and the line.
pub fn texts(path: &Path, most: usize) -> Result<Vec<Text>, JobError> {
    let bad = |what: String| JobError::Content { path: path.into(), what };
    let labelled = match path.extension().and_then(|e| e.to_str()) {
        Some("tsv") => true,
        Some("txt") => false,
        _ => return Err(bad("is neither .tsv (label, tab, text) nor .txt (a text a line)".into())),
    };
    let content = std::fs::read_to_string(path)
        .map_err(|source| JobError::File { path: path.into(), source })?;
    let content = content.strip_prefix('\u{feff}').unwrap_or(&content);
    let mut all = Vec::new();
    for (i, line) in content.lines().enumerate() {
        if all.len() == most {
            break;
        }
        if line.trim().is_empty() {
            continue;
        }
        let number = i + 1;
        let (label, text) = if labelled {
            let (label, text) = line
                .split_once('\t')
                .ok_or_else(|| bad(format!("line {number} has no tab between label and text")))?;
            if label.trim().is_empty() || text.trim().is_empty() {
                return Err(bad(format!("line {number} has no label or no text")));
            }
            (Some(label.trim().to_string()), text)
        } else {
            (None, line)
        };
        all.push(Text { line: number, label, text: text.to_string() });
    }
    if all.is_empty() {
        return Err(bad("holds no text".into()));
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_with_their_numbers_and_bad_ones_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.tsv");
        let read = |content: &str, most| {
            std::fs::write(&path, content).unwrap();
            texts(&path, most)
        };
        let all = read("\u{feff}on\tlight on\r\n\n off \t dark\n", 9).unwrap();
        assert_eq!(all[0], Text { line: 1, label: Some("on".into()), text: "light on".into() });
        assert_eq!(all[1], Text { line: 3, label: Some("off".into()), text: " dark".into() });
        assert_eq!(read("a\tb\nnonsense", 1).unwrap().len(), 1);
        assert!(read("a\tb\nnonsense", 2).unwrap_err().to_string().contains("x.tsv: line 2"));
        assert!(read("\n", 2).unwrap_err().to_string().contains("no text"));
        assert!(texts(Path::new("x.doc"), 1).unwrap_err().to_string().contains(".tsv"));
    }
}

//! Files that are wanted whole: labelled rows, their labels as numbers of classes, texts alone, and label draws: which
//! texts keep their label when only a few a class are to be known.
//!
//! A draw is a number, not a random stream: the texts of a class are ranked by a hash of draw and text, so the same
//! draw keeps the same texts whatever the order of the file, and on every machine.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

use super::{Row, RowOptions, Rows};

/// A labelled text and its line, for error messages.
#[derive(Clone, Debug)]
pub struct Labelled {
    pub line: u64,
    pub label: String,
    pub text: String,
}

impl Labelled {
    /// The rows of a file; those left out as bad are added to `skipped`.
    pub fn read(
        path: &Path,
        options: impl Into<RowOptions>,
        skipped: &mut u64,
    ) -> Result<Vec<Self>> {
        all(Rows::labelled(path, options)?, skipped, |Row { line, label, text }| Self {
            line,
            label: label.unwrap_or_default(),
            text,
        })
    }
}

/// All rows, each as `of` makes it.
fn all<T>(mut rows: Rows, skipped: &mut u64, of: impl Fn(Row) -> T) -> Result<Vec<T>> {
    let all = rows.by_ref().map(|row| Ok(of(row?))).collect::<Result<_>>()?;
    *skipped += rows.skipped;
    Ok(all)
}

/// The texts of a file; rows left out as bad are added to `skipped`.
pub fn read_texts(
    path: &Path,
    options: impl Into<RowOptions>,
    skipped: &mut u64,
) -> Result<Vec<String>> {
    all(Rows::unlabelled(path, options)?, skipped, |row| row.text)
}

pub fn classes(rows: &[Labelled]) -> Vec<String> {
    let labels: BTreeSet<&String> = rows.iter().map(|row| &row.label).collect();
    labels.into_iter().cloned().collect()
}

/// The texts of some rows, and the place of each one's label among the classes; `whose` they are is said where a label
/// is none.
pub fn numbered(
    rows: Vec<Labelled>,
    path: &Path,
    classes: &[String],
    whose: &str,
) -> Result<(Vec<String>, Vec<usize>)> {
    let number =
        |Labelled { line, label, text }| Ok((text, class_of(&label, classes, path, line, whose)?));
    rows.into_iter().map(number).collect()
}

/// The place of a label among the classes.
pub fn class_of(
    label: &str,
    classes: &[String],
    path: &Path,
    line: u64,
    whose: &str,
) -> Result<usize> {
    classes.iter().position(|class| class == label).with_context(|| {
        format!(
            "{}:{line}: label `{label}` is unknown to {whose}, which has {}; correct it, or leave the row out",
            path.display(),
            classes.join(", ")
        )
    })
}

/// The texts of some files, and their labels as a model's classes.
pub fn read_labelled(
    paths: &[impl AsRef<Path>],
    options: impl Into<RowOptions>,
    classes: &[String],
) -> Result<(Vec<String>, Vec<usize>)> {
    let (options, mut all) = (options.into(), (Vec::new(), Vec::new()));
    for path in paths.iter().map(AsRef::as_ref) {
        let rows = Labelled::read(path, &options, &mut 0)?;
        let (texts, labels) = numbered(rows, path, classes, "the model")?;
        all.0.extend(texts);
        all.1.extend(labels);
    }
    Ok(all)
}

/// Place of a text in draw number `draw`: SHA-256 of `qdllm label draw`, the draw as 8 bytes little endian, and the
/// text. The smallest of a class keep their labels.
pub fn rank(draw: u64, text: &str) -> [u8; 32] {
    let start = Sha256::new_with_prefix(b"qdllm label draw").chain_update(draw.to_le_bytes());
    start.chain_update(text).finalize().into()
}

/// Marks the rows (label, text) that keep their label in draw number `draw`: of each class as many as `most` says of its
/// size, smallest [`rank`] first, equal texts in the order given. A class with fewer rows keeps them all.
pub fn draw_share(
    rows: &[(String, String)],
    most: impl Fn(usize) -> usize,
    draw: u64,
) -> Vec<bool> {
    let mut classes: HashMap<&str, Vec<([u8; 32], usize)>> = HashMap::new();
    for (i, (label, text)) in rows.iter().enumerate() {
        classes.entry(label).or_default().push((rank(draw, text), i));
    }
    let mut keep = vec![false; rows.len()];
    for ranked in classes.values_mut() {
        ranked.sort_unstable();
        ranked.iter().take(most(ranked.len())).for_each(|&(_, i)| keep[i] = true);
    }
    keep
}

/// As [`draw_share`], `per_class` of each class.
pub fn draw_labels(rows: &[(String, String)], per_class: usize, draw: u64) -> Vec<bool> {
    draw_share(rows, |_| per_class, draw)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(n: usize) -> Vec<(String, String)> {
        (0..n)
            .map(|i| (["off", "on", "dim"][i % 3].to_owned(), format!("text number {i}")))
            .collect()
    }

    fn kept(rows: &[(String, String)], per_class: usize, draw: u64) -> Vec<String> {
        let keep = draw_labels(rows, per_class, draw);
        let mut texts: Vec<String> =
            rows.iter().zip(keep).filter(|(_, k)| *k).map(|((_, text), _)| text.clone()).collect();
        texts.sort();
        texts
    }

    #[test]
    fn keeps_as_many_a_class_as_asked() {
        let rows = rows(30);
        let keep = draw_labels(&rows, 4, 0);
        for class in ["off", "on", "dim"] {
            let n = rows.iter().zip(&keep).filter(|((label, _), k)| label == class && **k).count();
            assert_eq!(n, 4, "{class}");
        }
    }

    #[test]
    fn depends_on_the_draw_and_not_on_the_order() {
        let mut rows = rows(60);
        let first = kept(&rows, 5, 0);
        assert_ne!(first, kept(&rows, 5, 1));
        rows.reverse();
        assert_eq!(first, kept(&rows, 5, 0));
    }

    #[test]
    fn a_larger_draw_contains_the_smaller() {
        let rows = rows(60);
        let large = kept(&rows, 9, 3);
        assert!(kept(&rows, 4, 3).iter().all(|text| large.contains(text)));
    }

    #[test]
    fn is_the_same_on_every_machine() {
        // Frozen: a change here changes every published figure that names a draw.
        let rows = rows(12);
        assert_eq!(kept(&rows, 1, 0), FROZEN);
    }

    const FROZEN: [&str; 3] = ["text number 1", "text number 5", "text number 6"];

    #[test]
    fn short_classes_and_empty_sets_are_kept_whole() {
        assert_eq!(draw_labels(&rows(3), 20, 0), [true; 3]);
        assert!(draw_labels(&[], 20, 0).is_empty());
    }
}

//! Labelled files that are wanted whole: their rows, and their labels as numbers of classes.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context, Result, bail};

use super::{BadRows, Rows};

/// A labelled text and its line, for error messages.
#[derive(Clone, Debug)]
pub struct Labelled {
    pub line: u64,
    pub label: String,
    pub text: String,
}

impl Labelled {
    /// The rows of a file; those left out as bad are added to `skipped`.
    ///
    /// # Errors
    /// At the first bad row unless those are skipped.
    pub fn read(path: &Path, bad: BadRows, skipped: &mut u64) -> Result<Vec<Self>> {
        let mut rows = Rows::labelled(path, bad)?;
        let mut all = Vec::new();
        for row in rows.by_ref() {
            let row = row?;
            let label = row.label.with_context(|| {
                format!("{}:{}: the row has no label", path.display(), row.line)
            })?;
            all.push(Self { line: row.line, label, text: row.text });
        }
        *skipped += rows.skipped();
        Ok(all)
    }
}

pub fn classes(rows: &[Labelled]) -> Vec<String> {
    let labels: BTreeSet<&String> = rows.iter().map(|row| &row.label).collect();
    labels.into_iter().cloned().collect()
}

/// The texts of some rows, and the place of each one's label among the classes.
///
/// # Errors
/// What `refused` says of the first row whose label is no class.
pub fn numbered(
    rows: Vec<Labelled>,
    classes: &[String],
    refused: impl Fn(&Labelled) -> String,
) -> Result<(Vec<String>, Vec<usize>)> {
    let number = |row: Labelled| match classes.iter().position(|class| *class == row.label) {
        Some(class) => Ok((row.text, class)),
        None => bail!(refused(&row)),
    };
    rows.into_iter().map(number).collect()
}

/// The texts of a file, and their labels as a model's classes.
///
/// # Errors
/// With file and line; a label that the model does not have is refused.
pub fn read_labelled(
    path: &Path,
    bad: BadRows,
    classes: &[String],
) -> Result<(Vec<String>, Vec<usize>)> {
    let (mut texts, mut truth) = (Vec::new(), Vec::new());
    for row in Rows::labelled(path, bad)? {
        let row = row?;
        let label = row.label.unwrap_or_default();
        let Some(class) = classes.iter().position(|c| *c == label) else {
            bail!(
                "{}:{}: label `{label}` is unknown to the model, which has {}",
                path.display(),
                row.line,
                classes.join(", ")
            );
        };
        texts.push(row.text);
        truth.push(class);
    }
    Ok((texts, truth))
}

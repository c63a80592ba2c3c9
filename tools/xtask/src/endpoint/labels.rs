//! Soft labels as a reader from outside sees them, and how two sets of them compare.

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::path::Path;

/// A text with its class.
pub struct Text {
    /// The class's name.
    pub class: String,
    /// The text.
    pub text: String,
}

/// Logits by text, and the order of their classes.
pub struct Labels {
    classes: Vec<String>,
    rows: BTreeMap<String, Vec<f64>>,
}

/// How two sets of labels of the same texts compare.
pub struct Likeness {
    /// The largest difference of a logit, each text's logits less their mean.
    pub gap: f64,
    /// Correlation of all those logits.
    pub correlation: f64,
    /// Share of texts for which both decide alike.
    pub agreement: f64,
}

impl Labels {
    /// Reads a file in which every one of `texts` must have one row, and nothing else may.
    ///
    /// # Errors
    /// When a text is labelled twice or not at all, a stranger is labelled, or a logit is none.
    pub fn read(path: &Path, texts: &[Text]) -> Result<Self> {
        let file = std::fs::read_to_string(path);
        let file = file.with_context(|| format!("cannot read {}", path.display()))?;
        let mut lines = file.lines();
        let header: Value = serde_json::from_str(lines.next().unwrap_or_default())?;
        let classes: Vec<String> = serde_json::from_value(header["classes"].clone())?;
        let mut rows = BTreeMap::new();
        for line in lines {
            let row: Value = serde_json::from_str(line)?;
            let digest = row["text_sha256"].as_str().context("a row without a text")?.to_owned();
            let logits: Vec<f64> = serde_json::from_value(row["logits"].clone())?;
            ensure!(logits.len() == classes.len(), "a row with {} logits", logits.len());
            ensure!(rows.insert(digest, logits).is_none(), "a text is labelled twice: {line}");
        }
        for text in texts {
            ensure!(rows.contains_key(&digest(&text.text)), "lost: `{}`", text.text);
        }
        ensure!(rows.len() == texts.len(), "{} rows for {} texts", rows.len(), texts.len());
        Ok(Self { classes, rows })
    }

    /// The share of texts whose class has the largest logit.
    pub fn accuracy(&self, texts: &[Text]) -> f64 {
        let right = texts.iter().filter(|text| {
            let row = &self.rows[&digest(&text.text)];
            self.classes[largest(row)] == text.class
        });
        right.count() as f64 / texts.len() as f64
    }

    /// How these compare with others of the same texts.
    pub fn likeness(&self, other: &Self) -> Likeness {
        let order: Vec<Option<usize>> = self
            .classes
            .iter()
            .map(|class| other.classes.iter().position(|name| name == class))
            .collect();
        let (mut pairs, mut alike, mut gap) = (Vec::new(), 0, 0.0_f64);
        for (digest, row) in &self.rows {
            let theirs = &other.rows[digest];
            let theirs: Vec<f64> =
                order.iter().map(|place| place.map_or(f64::NAN, |p| theirs[p])).collect();
            alike += u32::from(largest(row) == largest(&theirs));
            for (a, b) in centred(row).into_iter().zip(centred(&theirs)) {
                gap = if (a - b).abs() <= gap { gap } else { (a - b).abs() };
                pairs.push((a, b));
            }
        }
        let sum = |f: &dyn Fn(&(f64, f64)) -> f64| pairs.iter().map(f).sum::<f64>();
        // Each text's mean is taken off, so the means of all are zero.
        let norms = (sum(&|p| p.0 * p.0) * sum(&|p| p.1 * p.1)).sqrt();
        let correlation = if norms > 0.0 { sum(&|p| p.0 * p.1) / norms } else { f64::NAN };
        Likeness { gap, correlation, agreement: f64::from(alike) / self.rows.len() as f64 }
    }
}

fn centred(row: &[f64]) -> Vec<f64> {
    let mean = row.iter().sum::<f64>() / row.len() as f64;
    row.iter().map(|z| z - mean).collect()
}

fn largest(row: &[f64]) -> usize {
    // Of equals the first, as argmax has it.
    (0..row.len()).rev().max_by(|&a, &b| row[a].total_cmp(&row[b])).unwrap_or(0)
}

fn digest(text: &str) -> String {
    Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(rows: &[(&str, [f64; 2])]) -> Result<Labels> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("soft.jsonl");
        let row = |(text, logits): &(&str, [f64; 2])| {
            format!("{}\n", serde_json::json!({"text_sha256": digest(text), "logits": logits}))
        };
        let rows: String = rows.iter().map(row).collect();
        std::fs::write(&path, format!("{{\"classes\":[\"off\",\"on\"]}}\n{rows}"))?;
        let text = |(class, text): (&str, &str)| Text { class: class.into(), text: text.into() };
        Labels::read(&path, &[("on", "a"), ("off", "b")].map(text))
    }

    #[test]
    fn each_text_must_be_there_once_and_nothing_else() {
        assert!(read(&[("b", [1.0, 0.0]), ("a", [0.0, 1.0])]).is_ok());
        for rows in [
            &[("a", [0.0, 1.0])][..],
            &[("a", [0.0, 1.0]), ("b", [1.0, 0.0]), ("a", [0.0, 1.0])],
            &[("a", [0.0, 1.0]), ("c", [1.0, 0.0])],
            &[("a", [0.0, 1.0]), ("b", [1.0, 0.0]), ("c", [1.0, 0.0])],
        ] {
            assert!(read(rows).is_err(), "{rows:?}");
        }
    }

    #[test]
    fn likeness_is_that_of_centred_logits() {
        let one = read(&[("a", [0.0, 1.0]), ("b", [3.0, 1.0])]).expect("two rows");
        let moved = read(&[("a", [5.0, 6.0]), ("b", [-1.0, -3.0])]).expect("two rows");
        let same = one.likeness(&moved);
        assert!(same.gap < 1e-12 && same.agreement == 1.0 && same.correlation > 1.0 - 1e-12);
        let other = one.likeness(&read(&[("a", [1.0, 0.0]), ("b", [3.0, 1.0])]).expect("two rows"));
        assert!((other.gap - 1.0).abs() < 1e-12 && other.agreement == 0.5);
    }
}

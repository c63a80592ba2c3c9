//! Label draws: which texts of a labelled set keep their label when only a few a class are to be known.
//!
//! A draw is a number, not a random stream: the texts of a class are ranked by a hash of draw and text, so the same
//! draw keeps the same texts whatever the order of the file, and on every machine.

use std::collections::HashMap;

use sha2::{Digest, Sha256};

/// Place of a text in draw number `draw`: SHA-256 of `qdllm label draw`, the draw as 8 bytes little endian, and the
/// text. The smallest of a class keep their labels.
#[must_use]
pub fn rank(draw: u64, text: &str) -> [u8; 32] {
    Sha256::new_with_prefix(b"qdllm label draw")
        .chain_update(draw.to_le_bytes())
        .chain_update(text.as_bytes())
        .finalize()
        .into()
}

/// Marks the `per_class` rows of each class that keep their label in draw number `draw`; rows are (label, text).
///
/// Smallest [`rank`] first, equal texts in the order given. A class with fewer rows keeps them all.
#[must_use]
pub fn draw_labels(rows: &[(String, String)], per_class: usize, draw: u64) -> Vec<bool> {
    let mut classes: HashMap<&str, Vec<([u8; 32], usize)>> = HashMap::new();
    for (i, (label, text)) in rows.iter().enumerate() {
        classes.entry(label).or_default().push((rank(draw, text), i));
    }
    let mut keep = vec![false; rows.len()];
    for ranked in classes.values_mut() {
        ranked.sort_unstable();
        for &(_, i) in ranked.iter().take(per_class) {
            keep[i] = true;
        }
    }
    keep
}

#[cfg(test)]
mod tests {
    use super::draw_labels;

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

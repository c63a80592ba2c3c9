//! Logistic regression, and the classical baselines that the student is judged by.
//!
//! The controls are plainly written, deterministic, trained from the same rows as the student and reported beside it.
//! Both are megabytes where the student is kilobytes.
//!
//! | control | features | classifier |
//! | --- | --- | --- |
//! | [`tfidf`] | words and word pairs, character 2- to 5-grams | logistic regression, L2 |
//! | [`fasttext`] | mean of learned word and word-pair rows | softmax |
//!
//! Rows are `(class, text)` pairs, classes counted from 0. How near the two come to scikit-learn
//! and to the fastText program is measured by `tests/peers/controls.py`.

pub mod fasttext;
pub mod features;
pub mod lbfgs;
pub mod logistic;
pub mod tfidf;

pub use fasttext::{FastText, FastTextOptions, train_fasttext};
pub use tfidf::{Tfidf, TfidfOptions, train_tfidf};

/// FNV-1a, 64 bits: the key of an n-gram. Among a million n-grams the chance that any two share a
/// key is about 3 in 10^8.
fn fnv1a(start: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(start, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

const FNV_START: u64 = 0xcbf2_9ce4_8422_2325;

/// Whether a character belongs to a word: letters, digits, underscore.
fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Checks what both trainings need of their rows.
fn check(rows: &[(usize, &str)], classes: usize) {
    assert!(!rows.is_empty(), "training needs at least one row");
    assert!(classes >= 2, "training needs at least two classes");
    assert!(rows.iter().all(|row| row.0 < classes), "a class is not below the number of classes");
}

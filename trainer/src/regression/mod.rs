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
pub mod lbfgs;
pub mod logistic;
pub mod tfidf;

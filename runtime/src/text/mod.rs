//! A text to features: words, n-grams, their rows in the vocabulary, pooled.

mod letter;
pub mod ngram;
pub mod pool;
pub mod token;
pub mod vocabulary;

//! A text to features: words, n-grams, their rows in the vocabulary, pooled.

pub mod compact;
mod letter;
pub mod ngram;
pub mod pool;
pub mod ribbon;
pub mod token;
pub mod vocabulary;

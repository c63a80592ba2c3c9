//! Teachers: language models that give texts feature vectors or class logits, in batches, on the CPU.
//!
//! [`Extractor`] is the seam between a model and everything above it: a model turns texts into one vector a
//! [`Cell`]; the [`cache`] keeps them; a probe or a prompt's scores turn them into logits.

pub mod batch;
pub mod cache;
pub mod causal;
pub mod digest;
mod error;
pub mod gguf;
pub mod llama;
pub mod minilm;
pub mod pool;
pub mod prompt;

pub use error::TeacherError;
pub use pool::{Cell, Pooling};

/// What decides a model's answer to a text; features of equal identity are interchangeable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The model's name, for people.
    pub name: String,
    /// SHA-256 of its weight file, hexadecimal.
    pub digest: String,
    /// Prompt, token limit, cells: everything else that changes the numbers.
    pub settings: String,
}

/// The vectors of one text.
#[derive(Debug, Clone, PartialEq)]
pub struct Pooled {
    /// One vector a cell, in cell order: cells x width.
    pub values: Vec<f32>,
    /// Tokens the model read.
    pub tokens: usize,
    /// True when the text was longer than the limit and its end was left out.
    pub cut: bool,
}

/// A model that turns texts into vectors.
pub trait Extractor {
    /// Name, digest and settings.
    fn identity(&self) -> Identity;
    /// The vectors that [`Self::extract`] gives, in order.
    fn cells(&self) -> &[Cell];
    /// Length of one vector.
    fn width(&self) -> usize;
    /// Features of a batch of texts, in their order. Equal batches give equal numbers.
    ///
    /// # Errors
    /// When the tokenizer or the model fails.
    fn extract(&self, texts: &[&str]) -> Result<Vec<Pooled>, TeacherError>;
}

/// A model that scores classes directly.
pub trait Scorer {
    /// Name, digest and settings.
    fn identity(&self) -> Identity;
    /// Number of classes, the length of every answer.
    fn classes(&self) -> usize;
    /// One logit a class for each text, in their order.
    ///
    /// # Errors
    /// When the tokenizer or the model fails.
    fn score(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, TeacherError>;
}

//! Teachers: language models that give texts feature vectors or class logits, in batches, on the CPU.
//!
//! [`Extractor`] is the seam between a model and everything above it: a model turns texts into one vector a
//! [`Cell`]; the [`cache`] keeps them; a probe or a prompt's scores turn them into logits.

pub mod cache;
pub mod calibration;
pub mod committee;
pub mod cross_validation;
pub mod digest;
#[cfg(feature = "endpoint")]
pub mod endpoint;
pub mod ensemble;
mod error;
pub mod features;
pub mod folds;
#[cfg(feature = "teacher")]
pub mod head;
#[cfg(feature = "teacher")]
pub mod llm;
pub mod pooling;
pub mod probe;
pub mod self_training;
pub mod tfidf;
pub mod vector_file;
#[cfg(feature = "teacher")]
pub mod zero_shot;

use crate::data::soft::TeacherInfo;
pub use error::TeacherError;
pub use pooling::{Cell, Pooling};

/// What decides a model's answer to a text; features of equal identity are interchangeable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    pub name: String,
    /// SHA-256 of its weight file, hexadecimal.
    pub digest: String,
    /// Prompt, token limit, cells: everything else that changes the numbers.
    pub settings: String,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Pooled {
    /// One vector a cell, in cell order: cells x width.
    pub values: Vec<f32>,
    pub tokens: usize,
    /// True when the text was longer than the limit and its end was left out.
    pub cut: bool,
}

/// A model that turns texts into vectors.
pub trait Extractor {
    fn identity(&self) -> Identity;
    /// The settings in a few words, without the list of cells.
    fn summary(&self) -> String {
        self.identity().settings
    }
    /// The vectors that [`Self::extract`] gives, in order.
    fn cells(&self) -> &[Cell];
    fn width(&self) -> usize;
    /// Features of a batch of texts, in their order. Equal batches give equal numbers.
    fn extract(&self, texts: &[&str]) -> Result<Vec<Pooled>, TeacherError>;
}

/// A teacher as soft labels name it: its models' names and digests, joined; `command` is how it was asked.
pub fn about(teacher: &dyn Teacher, command: String) -> TeacherInfo {
    let models = teacher.models();
    let join =
        |part: fn(&Identity) -> &str| models.iter().map(part).collect::<Vec<_>>().join(" + ");
    TeacherInfo {
        name: join(|m| &m.name),
        digest: join(|m| &m.digest),
        method: teacher.method(),
        command,
    }
}

/// Texts in, class logits out: what every way to a soft label comes down to.
pub trait Teacher {
    /// The classes, in the order of the logits.
    fn classes(&self) -> &[String];
    fn models(&self) -> Vec<Identity>;
    /// Everything beside the models that decides the logits, in words.
    fn method(&self) -> String;
    /// Runs the models over texts that are not in their caches; `progress(done, of)` follows each model.
    ///
    /// # Errors
    /// When a model or a cache fails; what was computed before is kept.
    fn prepare(
        &mut self,
        texts: &[&str],
        progress: &mut dyn FnMut(usize, usize),
    ) -> Result<Vec<features::Work>, TeacherError>;
    /// One logit a class for each prepared text, in their order.
    fn logits(&mut self, texts: &[&str]) -> Result<Vec<Vec<f32>>, TeacherError>;
}

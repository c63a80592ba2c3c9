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
    pub digest: String,
    /// Prompt, token limit, cells: everything else that changes the numbers.
    pub settings: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description {
    pub identity: Identity,
    /// The settings in a few words, without the list of cells.
    pub summary: String,
    /// The vectors of a text, in order.
    pub cells: Vec<Cell>,
    pub width: usize,
}

impl Description {
    /// Of a model with one vector a text, by its name, digest and settings.
    pub fn single(
        [name, digest, settings]: [String; 3],
        (layer, pooling): (usize, Pooling),
        width: usize,
    ) -> Self {
        let summary = settings.clone();
        let identity = Identity { name, digest, settings };
        Self { identity, summary, cells: vec![Cell { layer, pooling }], width }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub struct Pooled {
    /// One vector a cell, in cell order: cells x width.
    pub values: Vec<f32>,
    pub tokens: usize,
    /// True when the text was longer than the limit and its end was left out.
    pub cut: bool,
}

pub trait Extractor {
    fn description(&self) -> &Description;
    /// Features of a batch of texts, in their order. Equal batches give equal numbers.
    fn extract(&self, texts: &[&str]) -> Result<Vec<Pooled>, TeacherError>;
}

/// What one call of [`Teacher::prepare`] did with one model.
#[derive(Debug, Clone, Copy, Default, PartialEq, serde::Serialize)]
pub struct Work {
    pub texts: usize,
    /// Texts run through the model; the others were in the cache.
    pub computed: usize,
    pub tokens: usize,
    /// Texts, cached ones included, that were longer than the limit and were cut.
    pub cut: usize,
    /// New texts whose answer named no class; they get even logits.
    pub undecided: usize,
    pub seconds: f64,
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
    ) -> Result<Vec<Work>, TeacherError>;
    /// One logit a class for each prepared text, in their order.
    fn logits(&mut self, texts: &[&str]) -> Result<Vec<Vec<f32>>, TeacherError>;
}

pub fn log_mean_exp(log_p: &[f32]) -> f32 {
    let top = log_p.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    top + (log_p.iter().map(|s| (s - top).exp()).sum::<f32>() / log_p.len().max(1) as f32).ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_a_class_are_pooled() {
        assert!((log_mean_exp(&[0.5_f32.ln(), 0.1_f32.ln()]) - 0.3_f32.ln()).abs() < 1e-6);
    }
}

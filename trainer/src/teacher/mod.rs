//! Teachers: language models that give texts feature vectors or class logits, in batches, on the CPU.
//!
//! [`Extractor`] is the seam between a model and everything above it: a model turns texts into one vector a
//! [`Cell`]; the [`cache`] keeps them; a probe or a prompt's scores turn them into logits.

pub mod cache;
pub mod calibration;
pub mod committee;
pub mod cross_validation;
#[cfg(feature = "endpoint")]
pub mod endpoint;
pub mod features;
#[cfg(feature = "teacher")]
pub mod llm;
pub mod probe;
pub mod tfidf;
#[cfg(feature = "teacher")]
pub mod zero_shot;

use crate::data::soft::TeacherInfo;
use anyhow::Result;
use serde::{Deserialize, Serialize};
use std::fmt;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pooling {
    /// The average over the text's own tokens, without the prompt's.
    Mean,
    /// The state at the last token of prompt and text: where a causal model has read everything.
    Last,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Cell {
    /// Layer number, 0 being the token embedding.
    pub layer: usize,
    pub pooling: Pooling,
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pooling = if self.pooling == Pooling::Mean { "mean" } else { "last" };
        write!(f, "layer {} {pooling}", self.layer)
    }
}

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
    fn extract(&self, texts: &[&str]) -> Result<Vec<Pooled>>;
}

/// What one call of [`Teacher::prepare`] did with one model.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Work {
    pub model: String,
    pub texts: usize,
    /// Texts run through the model; the others were in the cache.
    pub computed: usize,
    pub tokens: usize,
    /// Texts, cached ones included, that were longer than the limit and were cut.
    pub cut: usize,
    /// Texts, cached ones included, whose answer named no class; they get even logits.
    pub undecided: usize,
    /// Texts that the model refused; they get no label.
    pub refused: usize,
    pub seconds: f64,
}

/// What soft labels say of their teacher, and the classes in the order of the logits.
#[derive(Debug, Clone, Default)]
pub struct About {
    pub classes: Vec<String>,
    pub models: Vec<Identity>,
    /// Everything beside the models that decides the logits, in words.
    pub method: String,
}

impl About {
    /// Names and digests of the models, joined; `command` is how the teacher was asked.
    pub fn info(&self, command: String) -> TeacherInfo {
        let join = |part: fn(&Identity) -> &str| {
            self.models.iter().map(part).collect::<Vec<_>>().join(" + ")
        };
        let (name, digest) = (join(|m| &m.name), join(|m| &m.digest));
        TeacherInfo { name, digest, method: self.method.clone(), command, refused: Vec::new() }
    }
}

/// Is told how many texts are done, and of how many.
pub type OnProgress<'a> = &'a mut dyn FnMut(usize, usize);

/// Texts in, class logits out: what every way to a soft label comes down to.
pub trait Teacher {
    fn about(&self) -> &About;
    /// Runs the models over texts that are not in their caches; `progress` follows each model. What was computed before
    /// an error is kept.
    fn prepare(&mut self, _texts: &[&str], _progress: OnProgress<'_>) -> Result<Vec<Work>> {
        Ok(Vec::new())
    }
    /// One logit a class for each prepared text, in their order.
    fn logits(&mut self, texts: &[&str]) -> Result<Vec<Vec<f32>>>;
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

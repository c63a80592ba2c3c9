//! What stands before the circuit: a text or a vector to 11 features, and back again in training.

use super::examples::Sample;
use super::recipe::Recipe;
use crate::options::{Config, HiddenLayer};
use qdllm_runtime::angles::Squash;
use qdllm_runtime::format::encode::FrontEndParts;
use qdllm_runtime::{Error, Model, Prediction, Scratch};
use sha2::Sha256;

/// A front end: [`Words`](super::words::Words) or [`Dense`](super::dense::Dense).
///
/// Its weights come first in the student's flat vector of parameters, then one bias a feature. Methods take both together
/// as `theta`, and `dropout` as the chance that a part of the input is left out where a sample has a key.
pub trait FrontEnd: Clone + Sync {
    /// A part of a text's input: a vocabulary row, or a number of a vector.
    type Item: Copy + Send + Sync;
    /// A validation text as the model file takes it.
    type Probe;
    /// What rounding to the file's numbers leaves beside the rounded weights.
    type Rounded: Clone;

    /// Largest difference of a probability that the runtime may show against the trainer.
    const TOLERANCE: f32;

    /// How it is trained by these settings.
    fn recipe(config: &Config) -> Recipe;

    /// What stands between its features and the head.
    fn hidden(config: &Config) -> HiddenLayer;

    fn weights(&self) -> usize;

    /// Weights begin evenly between minus and plus this.
    fn initial_bound(&self) -> f32;

    fn squash(&self) -> Squash;

    /// Slopes by a sample's features, given those by its angles.
    fn through_squash(&self, features: &[f32], by_angle: &[f32]) -> Vec<f32>;

    fn features(&self, theta: &[f32], sample: &Sample<'_, Self::Item>, dropout: f32) -> Vec<f32>;

    /// What [`accumulate`](Self::accumulate) takes of a group of samples, given their slopes by features; called on many
    /// threads at once.
    fn group_gradient(
        &self,
        samples: &[Sample<'_, Self::Item>],
        slopes: Vec<f32>,
        dropout: f32,
    ) -> Vec<f32>;

    /// Adds a group's part to the gradient by weights and biases; called group by group in order, so that results do not
    /// depend on threads.
    fn accumulate(
        &self,
        samples: &[Sample<'_, Self::Item>],
        group: &[f32],
        dropout: f32,
        gradient: &mut [f32],
    );

    /// Rounds weights to what the file holds.
    fn round(&self, weights: &mut [f32]) -> Self::Rounded;

    /// The front end as the encoder of the format takes it.
    fn parts(&self, rounded: &Self::Rounded, weights: &[f32], bias: &[f32]) -> FrontEndParts;

    /// # Errors
    /// What the runtime says.
    fn classify<'s>(
        model: &Model<'_>,
        probe: &Self::Probe,
        scratch: &'s mut Scratch,
    ) -> Result<Prediction<'s>, Error>;

    fn name(i: usize, probe: &Self::Probe) -> String;

    /// The design as the file's provenance states it.
    fn design(config: &Config) -> Option<&'static str>;

    /// Adds what a checkpoint depends on beside settings, labels and teacher.
    fn fingerprint(&self, digest: &mut Sha256);
}

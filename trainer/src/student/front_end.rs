//! What stands before the circuit: a text or a vector to 11 features, and back again in training.

use crate::numeric::{Ragged, argmax, softmax};
use crate::options::{Config, TrainingConfig};
use qdllm_runtime::angles::Squash;
use qdllm_runtime::format::encode::FrontEndParts;
use qdllm_runtime::{Error, Model, Prediction, Scratch};
use sha2::{Digest as _, Sha256};
use std::f32::consts::PI;

/// A front end: [`Words`](super::words::Words) or [`Dense`](super::dense::Dense).
///
/// Its weights come first in the student's flat vector of parameters, then one bias a feature. Methods take both together
/// as `theta`, and `dropout` as the chance that a part of the input is left out where a sample has a key.
pub trait FrontEnd: Clone + Sync {
    /// A part of a text's input: a vocabulary row, or a number of a vector.
    type Item: Copy + Default + Send + Sync;
    /// A validation text as the model file takes it.
    type Probe;
    /// What rounding to the file's numbers leaves beside the rounded weights.
    type Rounded: Clone;

    /// Largest difference of a probability that the runtime may show against the trainer.
    const TOLERANCE: f32;

    /// How it is trained by these settings, and whether learning rates fall linearly to zero over the whole run.
    fn training(config: &Config) -> (TrainingConfig, bool);

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
        _: &[Sample<'_, Self::Item>],
        slopes: Vec<f32>,
        _dropout: f32,
    ) -> Vec<f32> {
        slopes
    }

    /// Adds a group's part to the gradient by weights and biases; called group by group in order, so that results do not
    /// depend on threads.
    fn accumulate(
        &self,
        samples: &[Sample<'_, Self::Item>],
        group: &[f32],
        dropout: f32,
        gradient: &mut [f32],
    );

    fn round(&self, weights: &mut [f32]) -> Self::Rounded;

    /// The front end as the encoder of the format takes it.
    fn parts(&self, rounded: &Self::Rounded, weights: &[f32], bias: &[f32]) -> FrontEndParts;

    fn classify<'s>(
        model: &Model<'_>,
        probe: &Self::Probe,
        scratch: &'s mut Scratch,
    ) -> Result<Prediction<'s>, Error>;

    fn name(i: usize, probe: &Self::Probe) -> String;

    /// The design as the file's provenance states it.
    fn design(_: &Config) -> Option<&'static str> {
        None
    }

    /// Adds what a checkpoint depends on beside settings, labels and teacher.
    fn fingerprint(&self, digest: &mut Sha256);
}

/// The slope of `pi tanh x`. The order of its factors, too, decides the last bit, and so the bytes of a model.
pub(super) fn turn_slope(x: f32) -> f32 {
    PI * (1.0 - libm::tanhf(x).powi(2))
}

/// One text as the student sees it.
#[derive(Clone, Copy, Debug)]
pub struct Sample<'a, T> {
    /// What the front end reads of it: vocabulary rows in order and with repeats, or a vector.
    pub input: &'a [T],
    pub label: Option<usize>,
    pub teacher: Option<&'a [f32]>,
    /// What a text of each class weighs; empty: all the same.
    pub weights: &'a [f32],
    /// Drives what is dropped in this pass; `None` drops nothing.
    pub dropout_key: Option<u64>,
}

impl<T> Sample<'_, T> {
    /// The class to believe: the label, else the teacher's.
    pub fn class(&self) -> Option<usize> {
        self.label.or_else(|| self.teacher.map(argmax))
    }

    /// How much of the text is of each class, added to `sums`: one by its label, else as the teacher shares it out.
    pub fn share_out(&self, sums: &mut [f64]) {
        match (self.label, self.teacher) {
            (Some(label), _) => sums[label] += 1.0,
            (None, Some(teacher)) => {
                let shares = softmax(teacher, 1.0);
                sums.iter_mut().zip(shares).for_each(|(sum, share)| *sum += f64::from(share));
            }
            (None, None) => {}
        }
    }
}

/// Texts as a front end reads them, with labels and soft labels, one after the other in memory: about 40 bytes a short
/// text for `words`.
#[derive(Debug, Default)]
pub struct Examples<T> {
    pub inputs: Ragged<T>,
    labels: Vec<Option<u8>>,
    /// Empty where the teacher was not asked.
    teacher: Ragged<f32>,
    /// As in [`Sample`].
    pub weights: Vec<f32>,
}

impl<T> Examples<T> {
    pub fn push(
        &mut self,
        input: impl IntoIterator<Item = T>,
        label: Option<usize>,
        teacher: Option<&[f32]>,
    ) {
        self.inputs.push(input);
        self.labels.push(label.map(|l| l as u8));
        self.teacher.push(teacher.unwrap_or_default().iter().copied());
    }

    pub fn count(&self) -> usize {
        self.labels.len()
    }

    /// Text `i` for a batch; `dropout_key` as in [`Sample`].
    pub fn sample(&self, i: usize, dropout_key: Option<u64>) -> Sample<'_, T> {
        let teacher = Some(self.teacher.row(i)).filter(|logits| !logits.is_empty());
        let label = self.labels[i].map(usize::from);
        Sample { input: self.inputs.row(i), label, teacher, weights: &self.weights, dropout_key }
    }

    pub fn samples(&self) -> Vec<Sample<'_, T>> {
        (0..self.count()).map(|i| self.sample(i, None)).collect()
    }
}

/// Of 256 places by a text's digest those of labelled texts that judge teachers: a fifth.
pub const JUDGE: usize = 51;

/// A training text's label, also where a regression answers in its place, and its place by its digest.
pub struct Mark {
    pub label: Option<usize>,
    pub place: u8,
}

impl Mark {
    pub fn new(label: Option<usize>, text: &str) -> Self {
        let digest = Sha256::new_with_prefix(b"qdllm teacher").chain_update(text).finalize();
        Self { label, place: digest[0] }
    }

    /// The label of a text that judges.
    pub fn judges(&self) -> Option<usize> {
        self.label.filter(|_| usize::from(self.place) < JUDGE)
    }
}

//! What stands before the circuit: a text or a vector to 11 features, and back again in training.

use super::shape::Ansatz;
use crate::inference::Scratch;
use crate::numeric::{Ragged, argmax, softmax};
use crate::options::{Config, HiddenLayer, TrainingConfig};
use crate::seed::stream;
use qdllm_runtime::angles::Squash;
use qdllm_runtime::format::encode::FrontEndParts;
use qdllm_runtime::{Error, Model, Prediction, QUBITS};
use rand::Rng;
use sha2::{Digest as _, Sha256};
use std::f32::consts::PI;
use std::ops::Range;

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

    /// How it is trained by these settings on so many texts, and whether learning rates fall linearly to zero over the
    /// whole run.
    fn training(config: &Config, texts: usize) -> (TrainingConfig, bool);

    fn weights(&self) -> usize;

    /// Weights begin evenly between minus and plus this.
    fn initial_bound(&self) -> f32;

    /// Changes the parameters that training begins with, where it knows better than chance.
    fn start(_: &Shape<Self>, _theta: &mut [f32]) {}

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

    /// Rounds angles and head to what the file holds of them, where it holds less than `f32`; `texts` say what counts.
    fn round_circuit(
        _: &Shape<Self>,
        _theta: &mut [f32],
        _texts: &Examples<Self::Item>,
        _: &mut Self::Rounded,
    ) {
    }

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

/// A student's front end, circuit and head, and where each parameter lies in the flat vector.
#[derive(Clone, Debug)]
pub struct Shape<F> {
    pub front: F,
    pub classes: usize,
    pub hidden: HiddenLayer,
    pub ansatz: Ansatz,
}

impl<F: FrontEnd> Shape<F> {
    /// Numbers that the head reads: the circuit's expectations, else the features.
    pub fn outputs(&self) -> usize {
        match self.hidden {
            HiddenLayer::Circuit => self.ansatz.fused.outputs.len(),
            _ => QUBITS,
        }
    }

    pub fn weight_range(&self) -> Range<usize> {
        0..self.front.weights()
    }

    pub fn bias_range(&self) -> Range<usize> {
        let start = self.weight_range().end;
        start..start + QUBITS
    }

    pub fn angle_range(&self) -> Range<usize> {
        let start = self.bias_range().end;
        let circuit = self.hidden == HiddenLayer::Circuit;
        start..start + if circuit { self.ansatz.parameters } else { 0 }
    }

    /// Weights by class, then one bias a class.
    pub fn head_range(&self) -> Range<usize> {
        let start = self.angle_range().end;
        start..start + self.classes * (self.outputs() + 1)
    }

    pub fn parameters(&self) -> usize {
        self.head_range().end
    }

    /// Parameters at the start of training, drawn from the stream `init` of the root seed.
    pub fn init(&self, root: u64) -> Vec<f32> {
        let mut rng = stream(root, "init");
        let mut theta = vec![0.0; self.parameters()];
        let mut fill = |range: Range<usize>, bound: f32, theta: &mut [f32]| {
            theta[range].iter_mut().for_each(|x| *x = rng.random_range(-bound..bound));
        };
        fill(self.weight_range(), self.front.initial_bound(), &mut theta);
        fill(self.angle_range(), 0.1, &mut theta);
        let head = self.head_range();
        let outputs = self.outputs();
        let weights = head.start..head.start + self.classes * outputs;
        fill(weights, (6.0 / (outputs + self.classes) as f32).sqrt(), &mut theta);
        // A quarter turn: the middle of the encoder's slope, where tanh is 1/2.
        let turns = matches!(self.hidden, HiddenLayer::Circuit | HiddenLayer::Cosine);
        if turns && self.front.squash() == Squash::PiTanh {
            theta[self.bias_range()].fill(0.5_f32.atanh());
        }
        F::start(self, &mut theta);
        theta
    }

    pub fn angles_rad(&self, theta: &[f32]) -> Vec<f64> {
        theta[self.angle_range()].iter().map(|&x| f64::from(x)).collect()
    }
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

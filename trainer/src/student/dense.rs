//! The front end `dense`: vectors of texts (hidden states, embeddings), standardised or as they are, through a Dense layer
//! of 11 outputs.

use super::Prepared;
use super::front_end::Shape;
use super::front_end::{Examples, FrontEnd, Sample};
use super::shape::Ansatz;
use crate::data::corpus::Corpus;
use crate::data::vectors::Vectors;
use crate::inference::Scratch;
use crate::options::{Config, HiddenLayer, Preset, SquashKind, TrainingConfig};
use crate::seed::stream;
use anyhow::{Result, ensure};
use qdllm_host::terminal::Progress;
use qdllm_runtime::angles::Squash;
use qdllm_runtime::format::encode::FrontEndParts;
use qdllm_runtime::{Error, Model, Prediction, QUBITS};
use rand::Rng;
use sha2::{Digest, Sha256};
use std::borrow::Cow;
use std::f32::consts::PI;
use std::path::{Path, PathBuf};

#[derive(Clone, Debug)]
pub struct Dense {
    /// Mean and standard deviation of every input over the training vectors; zeros and ones where inputs are taken as they
    /// are.
    pub scale: Vec<(f32, f32)>,
    pub squash: Squash,
    pub digest: String,
}

impl Dense {
    /// Joins vectors with labels and soft labels, and standardises them where the preset does.
    pub fn prepare(config: &Config, progress: &mut Progress) -> Result<Prepared<Self>> {
        let sources = &config.sources;
        let corpus = Corpus::open(sources, progress)?;
        let files = sources.data.iter().chain(&sources.unlabelled).chain(&sources.valid);
        let files: Vec<&Path> = files.map(PathBuf::as_path).collect();
        let vectors = Vectors::read(&sources.vectors, &files, &sources.rows)?;
        let preset = config.dense.preset;
        let squash = match (config.dense.squash, preset) {
            (Some(SquashKind::PiTanh), _) | (None, Preset::Product) => Squash::PiTanh,
            (Some(SquashKind::MinMax), _) | (None, Preset::Paper) => Squash::MinMax10,
        };
        let as_they_are = vec![(0.0, 1.0); vectors.width];
        let front = Self { scale: as_they_are, squash, digest: vectors.digest.clone() };
        let (classes, hidden) = (corpus.classes.len(), HiddenLayer::Circuit);
        let shape = Shape { front, classes, hidden, ansatz: Ansatz::paper() };
        let mut prepared = Prepared::new(shape, &corpus);
        let (mut missing, mut first) = (0, String::new());
        let tally = corpus.each("finding vectors", progress, |text| {
            let Some(vector) = vectors.place(text.text).map(|place| vectors.at(place)) else {
                if missing == 0 {
                    first = text.text.chars().take(40).collect();
                }
                missing += 1;
                return;
            };
            prepared.add(&text, None, vector.iter().copied(), || vector.to_vec());
        });
        ensure!(
            missing == 0,
            "{missing} texts have no vector, the first is `{first}`; make vectors of every text of --data, --unlabelled and --valid"
        );
        prepared.tally = tally?;
        prepared.weigh(config)?;
        if preset == Preset::Product {
            let scale = scale(vectors.width, &prepared.texts);
            for part in [&mut prepared.texts, &mut prepared.valid] {
                standardise(part, &scale);
            }
            prepared.shape.front.scale = scale;
        }
        Ok(prepared)
    }

    fn inputs(&self) -> usize {
        self.scale.len()
    }

    /// The vector with the inputs that this pass drops at zero and the others scaled up.
    fn kept<'a>(sample: &Sample<'a, f32>, dropout: f32) -> Cow<'a, [f32]> {
        match sample.dropout_key {
            Some(key) if dropout > 0.0 => {
                let mut rng = stream(key, "inputs");
                let up = 1.0 / (1.0 - dropout);
                let each = |&x: &f32| if rng.random::<f32>() < dropout { 0.0 } else { x * up };
                sample.input.iter().map(each).collect()
            }
            _ => sample.input.into(),
        }
    }
}

impl FrontEnd for Dense {
    type Item = f32;
    type Probe = Vec<f32>;
    type Rounded = ();

    /// Folding the inputs' scale into the weights rounds differently, and min-max multiplies that by ten over the span.
    const TOLERANCE: f32 = 2e-3;

    fn training(config: &Config, texts: usize) -> (TrainingConfig, bool) {
        let (dense, training) = (&config.dense, config.training_of(texts));
        let training = match dense.preset {
            Preset::Product => TrainingConfig {
                dropout: dense.dropout,
                weight_decay: dense.decay,
                lr: dense.rate,
                ..training
            },
            Preset::Paper => TrainingConfig {
                dropout: 0.0,
                weight_decay: 0.0,
                lr: dense.paper_rate,
                circuit_lr: dense.paper_rate,
                smoothing: 0.0,
                alpha: 0.5,
                temperature: 2.0,
                ..training
            },
        };
        (training, dense.preset == Preset::Product)
    }

    fn weights(&self) -> usize {
        QUBITS * self.inputs()
    }

    fn initial_bound(&self) -> f32 {
        1.0 / (self.inputs() as f32).sqrt()
    }

    fn squash(&self) -> Squash {
        self.squash
    }

    fn through_squash(&self, features: &[f32], by_angle: &[f32]) -> Vec<f32> {
        through_squash(self.squash, features, by_angle)
    }

    fn features(&self, theta: &[f32], sample: &Sample<'_, f32>, dropout: f32) -> Vec<f32> {
        let (weights, bias) = theta.split_at(self.weights());
        let kept = Self::kept(sample, dropout);
        weights
            .chunks_exact(self.inputs())
            .zip(bias)
            .map(|(row, bias)| row.iter().zip(&*kept).fold(*bias, |s, (w, x)| s + w * x))
            .collect()
    }

    /// The group's gradient by weights and biases.
    fn group_gradient(
        &self,
        samples: &[Sample<'_, f32>],
        slopes: Vec<f32>,
        dropout: f32,
    ) -> Vec<f32> {
        let mut gradient = vec![0.0; self.weights() + QUBITS];
        let (weights, biases) = gradient.split_at_mut(self.weights());
        for (sample, slopes) in samples.iter().zip(slopes.chunks_exact(QUBITS)) {
            let kept = Self::kept(sample, dropout);
            for (row, s) in weights.chunks_exact_mut(self.inputs()).zip(slopes) {
                row.iter_mut().zip(&*kept).for_each(|(sum, x)| *sum += s * x);
            }
            biases.iter_mut().zip(slopes).for_each(|(sum, s)| *sum += s);
        }
        gradient
    }

    fn accumulate(&self, _: &[Sample<'_, f32>], group: &[f32], _: f32, gradient: &mut [f32]) {
        gradient.iter_mut().zip(group).for_each(|(sum, x)| *sum += x);
    }

    fn round(&self, _: &mut [f32]) {}

    fn parts(&self, (): &(), weights: &[f32], bias: &[f32]) -> FrontEndParts {
        // The reader of vectors refuses wider ones.
        let inputs = u16::try_from(self.inputs()).unwrap_or(u16::MAX);
        FrontEndParts::Dense { inputs, table: fold(weights, bias, &self.scale) }
    }

    fn classify<'s>(
        model: &Model<'_>,
        vector: &Vec<f32>,
        scratch: &'s mut Scratch,
    ) -> Result<Prediction<'s>, Error> {
        model.classify_vector(vector, scratch)
    }

    fn name(i: usize, _: &Vec<f32>) -> String {
        format!("validation vector {}", i + 1)
    }

    fn design(config: &Config) -> Option<&'static str> {
        Some(match config.dense.preset {
            Preset::Product => "dense, product",
            Preset::Paper => "dense, paper",
        })
    }

    fn fingerprint(&self, digest: &mut Sha256) {
        digest.update(&self.digest);
    }
}

/// Min-max: with `u = (x - low) / span`, an angle is `10 u`; the largest and the least feature move every angle, and
/// where several are largest or least the first of them does.
fn through_squash(squash: Squash, features: &[f32], by_angle: &[f32]) -> Vec<f32> {
    match squash {
        // The order of the factors decides the last bit, and so the bytes of the model.
        Squash::PiTanh => features
            .iter()
            .zip(by_angle)
            .map(|(&x, s)| s * PI * (1.0 - libm::tanhf(x).powi(2)))
            .collect(),
        Squash::MinMax10 => {
            let place = |better: fn(f32, f32) -> bool| {
                (1..features.len())
                    .fold(0, |at, i| if better(features[i], features[at]) { i } else { at })
            };
            let (low, high) = (place(|a, b| a < b), place(|a, b| a > b));
            let span = features[high] - features[low];
            if span <= 0.0 {
                return vec![0.0; features.len()];
            }
            let factor = 10.0 / span;
            let mut slopes: Vec<f32> = by_angle.iter().map(|s| s * factor).collect();
            for (x, s) in features.iter().zip(by_angle) {
                let u = (x - features[low]) / span;
                slopes[low] -= factor * s * (1.0 - u);
                slopes[high] -= factor * s * u;
            }
            slopes
        }
    }
}

pub(super) fn standardise(texts: &mut Examples<f32>, scale: &[(f32, f32)]) {
    for vector in texts.inputs.values.chunks_exact_mut(scale.len()) {
        for (x, (mean, deviation)) in vector.iter_mut().zip(scale) {
            *x = (*x - mean) / deviation;
        }
    }
}

/// Folds the scale of the inputs into the Dense layer: weights angle by angle, then biases, for inputs as they are.
pub(super) fn fold(weights: &[f32], bias: &[f32], scale: &[(f32, f32)]) -> Vec<f32> {
    let mut table = Vec::with_capacity(weights.len() + bias.len());
    let mut biases = Vec::with_capacity(bias.len());
    for (row, bias) in weights.chunks_exact(scale.len()).zip(bias) {
        let mut shifted = f64::from(*bias);
        for (w, (mean, deviation)) in row.iter().zip(scale) {
            let folded = w / deviation;
            shifted -= f64::from(folded) * f64::from(*mean);
            table.push(folded);
        }
        biases.push(shifted as f32);
    }
    table.extend(biases);
    table
}

/// Mean and deviation of each input over the training vectors; an input that never changes keeps the deviation 1.
pub(super) fn scale(width: usize, texts: &Examples<f32>) -> Vec<(f32, f32)> {
    let n = texts.count().max(1) as f64;
    let mut sums = vec![(0.0_f64, 0.0_f64); width];
    for sample in texts.samples() {
        for (sum, &x) in sums.iter_mut().zip(sample.input) {
            sum.0 += f64::from(x);
            sum.1 += f64::from(x) * f64::from(x);
        }
    }
    sums.into_iter()
        .map(|(sum, square)| {
            let mean = sum / n;
            let deviation = (square / n - mean * mean).max(0.0).sqrt();
            let least = 1e-6 * mean.abs().max(1e-6);
            (mean as f32, if deviation > least { deviation as f32 } else { 1.0 })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_features_have_no_slope_under_min_max() {
        let slopes = through_squash(Squash::MinMax10, &[2.0; 11], &[1.0; 11]);
        assert_eq!(slopes, [0.0; 11]);
        // Moving every feature alike moves no angle.
        let features: Vec<f32> = (0..11).map(|i| (i * 7 % 11) as f32).collect();
        let by_angle: Vec<f32> = (0..11).map(|i| i as f32 - 3.0).collect();
        let sum: f32 = through_squash(Squash::MinMax10, &features, &by_angle).iter().sum();
        assert!(sum.abs() < 1e-4, "{sum}");
    }

    #[test]
    fn folded_weights_see_inputs_as_they_are() {
        let scale = [(10.0, 2.0), (-1.0, 0.5)];
        let table = fold(&[1.0, -2.0, 0.5, 4.0], &[0.25, 1.0], &scale);
        let x = [13.0_f32, -0.75];
        for (row, (w, b)) in [([1.0, -2.0], 0.25), ([0.5, 4.0], 1.0)].iter().enumerate() {
            let scaled = w[0] * (x[0] - 10.0) / 2.0 + w[1] * (x[1] + 1.0) / 0.5 + b;
            let plain = table[2 * row] * x[0] + table[2 * row + 1] * x[1] + table[4 + row];
            assert!((scaled - plain).abs() < 1e-5, "{scaled} {plain}");
        }
    }
}

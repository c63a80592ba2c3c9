//! The front end `dense`: vectors of texts (hidden states, embeddings), standardised or as they are, through a Dense layer
//! of 11 outputs.

use super::ansatz::Ansatz;
use super::distillation::{DistillError, PROBES, Prepared};
use super::examples::{Examples, Sample};
use super::front_end::FrontEnd;
use super::recipe::Recipe;
use crate::data::corpus::{Corpus, Part};
use crate::data::vectors::Vectors;
use crate::options::{Config, HiddenLayer, Preset, SquashKind};
use crate::seed::stream;
use qdllm_host::terminal::Progress;
use qdllm_runtime::angles::Squash;
use qdllm_runtime::format::encode::FrontEndParts;
use qdllm_runtime::{Error, Model, Prediction, QUBITS, Scratch};
use rand::Rng;
use sha2::{Digest, Sha256};
use std::borrow::Cow;
use std::f32::consts::PI;
use std::path::Path;

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
    ///
    /// # Errors
    /// [`DistillError::Corpus`], [`DistillError::Vectors`] or [`DistillError::MissingVectors`].
    pub fn prepare(
        config: &Config,
        progress: &mut Progress,
    ) -> Result<Prepared<Self>, DistillError> {
        let sources = &config.sources;
        let corpus = Corpus::open(sources, progress)?;
        let files: Vec<&Path> = [&sources.data, &sources.unlabelled, &sources.valid]
            .into_iter()
            .flatten()
            .map(std::path::PathBuf::as_path)
            .collect();
        let vectors = Vectors::read(&sources.vectors, &files, sources.bad_rows)?;
        let classes = corpus.classes().len();
        let (mut texts, mut valid) = (Examples::new(classes), Examples::new(classes));
        let mut probes: Vec<Vec<f32>> = Vec::new();
        let (mut missing, mut first) = (0, String::new());
        let tally = corpus.each("finding vectors", progress, |text| {
            let Some(place) = vectors.place(text.text) else {
                if missing == 0 {
                    first = text.text.chars().take(40).collect();
                }
                missing += 1;
                return;
            };
            let vector = vectors.at(place);
            let part = if text.part == Part::Train { &mut texts } else { &mut valid };
            part.push(vector.iter().copied(), text.label, text.teacher);
            if text.part == Part::Valid && probes.len() < PROBES {
                probes.push(vector.to_vec());
            }
        });
        if missing > 0 {
            return Err(DistillError::MissingVectors { missing, first });
        }
        let tally = tally?;
        let (width, preset) = (vectors.width(), config.dense.preset);
        let scale = match preset {
            Preset::Product => scale(width, &texts),
            Preset::Paper => vec![(0.0, 1.0); width],
        };
        for part in [&mut texts, &mut valid] {
            for vector in part.inputs_mut().chunks_exact_mut(width) {
                for (x, (mean, deviation)) in vector.iter_mut().zip(&scale) {
                    *x = (*x - mean) / deviation;
                }
            }
        }
        let squash = match (config.dense.squash, preset) {
            (Some(SquashKind::PiTanh), _) | (None, Preset::Product) => Squash::PiTanh,
            (Some(SquashKind::MinMax), _) | (None, Preset::Paper) => Squash::MinMax10,
        };
        let front = Self { scale, squash, digest: vectors.digest().to_owned() };
        Ok(Prepared::new(front, Ansatz::paper(), &corpus, tally, texts, valid, probes))
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

    fn recipe(config: &Config) -> Recipe {
        let (dense, training) = (&config.dense, &config.training);
        let product = Recipe {
            seed: training.seed,
            batch_size: training.batch_size,
            patience: training.patience,
            dropout: dense.dropout,
            weight_decay: dense.decay,
            lr: dense.rate,
            circuit_lr: training.circuit_lr,
            falls: true,
            smoothing: training.smoothing,
            alpha: training.alpha,
            temperature: training.temperature,
        };
        match dense.preset {
            Preset::Product => product,
            Preset::Paper => Recipe {
                dropout: 0.0,
                weight_decay: 0.0,
                lr: dense.paper_rate,
                circuit_lr: dense.paper_rate,
                falls: false,
                smoothing: 0.0,
                alpha: 0.5,
                temperature: 2.0,
                ..product
            },
        }
    }

    fn hidden(_: &Config) -> HiddenLayer {
        HiddenLayer::Circuit
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

/// Slopes by a sample's features, given those by its angles.
///
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

/// Folds the scale of the inputs into the Dense layer: weights angle by angle, then biases, for inputs as they are.
fn fold(weights: &[f32], bias: &[f32], scale: &[(f32, f32)]) -> Vec<f32> {
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
fn scale(width: usize, texts: &Examples<f32>) -> Vec<(f32, f32)> {
    let n = texts.len().max(1) as f64;
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

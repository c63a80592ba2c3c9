//! The student's parameters as one flat vector, and the batch that computes their gradient.

use crate::adjoint::{Bound, Work, to_parameters};
use crate::lanes::{LANES, Lanes};
use crate::loss::{LossWeights, loss};
use crate::seed::stream;
use qdllm_runtime::QUBITS;
use qdllm_runtime::circuit::{PAPER_ANGLES, paper};
use qdllm_runtime::features::Pool;
use qdllm_runtime::fuse::Fused;
use rand::Rng;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::f32::consts::PI;
use std::ops::Range;

/// What stands between the features and the head: the circuit, or a control of the same size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Heart {
    /// The preset circuit `paper`.
    Circuit,
    /// Nothing: the head reads the features.
    Linear,
    /// The encoder without an ansatz: `cos(pi tanh x)`.
    Cosine,
    /// `tanh x`.
    Tanh,
}

/// Sizes of a student and where its parameters lie in the flat vector.
#[derive(Clone, Debug)]
pub struct Shape {
    /// Rows of the vocabulary.
    pub rows: usize,
    /// Classes.
    pub classes: usize,
    /// What stands between features and head.
    pub heart: Heart,
    /// How rows become features.
    pub pool: Pool,
    circuit: Fused,
}

impl Shape {
    /// A student of `rows` vocabulary rows and `classes` classes.
    pub fn new(rows: usize, classes: usize, heart: Heart, pool: Pool) -> Self {
        let readouts: Vec<u16> = (0..QUBITS).map(|q| 1 << q).collect();
        // The preset names only its own qubits and begins with its encoder.
        let circuit = Fused::new(paper(), QUBITS as u8, &readouts).expect("the preset fuses");
        Self { rows, classes, heart, pool, circuit }
    }

    /// The circuit of [`Heart::Circuit`].
    pub fn circuit(&self) -> &Fused {
        &self.circuit
    }

    /// One row of 11 numbers a vocabulary entry.
    pub fn row_range(&self) -> Range<usize> {
        0..self.rows * QUBITS
    }

    /// 11 numbers added to the pooled features.
    pub fn bias_range(&self) -> Range<usize> {
        let start = self.row_range().end;
        start..start + QUBITS
    }

    /// The circuit's named angles in radians.
    pub fn angle_range(&self) -> Range<usize> {
        let start = self.bias_range().end;
        start..start + if self.heart == Heart::Circuit { PAPER_ANGLES } else { 0 }
    }

    /// Weights by class, then one bias a class.
    pub fn head_range(&self) -> Range<usize> {
        let start = self.angle_range().end;
        start..start + self.classes * (QUBITS + 1)
    }

    /// Parameters in all.
    pub fn parameters(&self) -> usize {
        self.head_range().end
    }

    /// Parameters at the start of training, drawn from the stream `init` of the root seed.
    pub fn init(&self, root: u64, row_deviation: f32) -> Vec<f32> {
        let mut rng = stream(root, "init");
        let mut theta = vec![0.0; self.parameters()];
        let mut fill = |range: Range<usize>, spread: f32, theta: &mut [f32]| {
            theta[range].iter_mut().for_each(|x| *x = rng.random_range(-spread..spread));
        };
        // An even spread of +-sqrt(3) d has the standard deviation d.
        fill(self.row_range(), 3.0_f32.sqrt() * row_deviation, &mut theta);
        if self.heart == Heart::Circuit {
            fill(self.angle_range(), 0.1, &mut theta);
        }
        let head = self.head_range();
        let weights = head.start..head.start + self.classes * QUBITS;
        fill(weights, (6.0 / (QUBITS + self.classes) as f32).sqrt(), &mut theta);
        // A quarter turn: the middle of the encoder's slope, where tanh is 1/2.
        if self.heart == Heart::Circuit || self.heart == Heart::Cosine {
            theta[self.bias_range()].fill(0.5_f32.atanh());
        }
        theta
    }

    /// The circuit's angles in double precision.
    pub fn angles_rad(&self, theta: &[f32]) -> Vec<f64> {
        theta[self.angle_range()].iter().map(|&x| f64::from(x)).collect()
    }
}

/// One text as the student sees it.
#[derive(Clone, Copy, Debug)]
pub struct Sample<'a> {
    /// Vocabulary rows of its n-grams, in order and with repeats.
    pub rows: &'a [u16],
    /// Its class, if known.
    pub label: Option<usize>,
    /// The teacher's logits, if it was asked.
    pub teacher: Option<&'a [f32]>,
    /// Drives which n-grams are dropped in this pass; `None` drops none.
    pub dropout_key: Option<u64>,
}

/// A student with its angles bound: computes logits and gradients of batches.
pub struct Batcher<'s> {
    shape: &'s Shape,
    theta: &'s [f32],
    bound: Bound<f32>,
    dropout: f32,
}

/// What eight samples give; collected in order, so that results do not depend on threads.
struct ChunkGradient {
    loss: f64,
    head: Vec<f32>,
    angles: Vec<f64>,
    features: [[f32; QUBITS]; LANES],
}

impl<'s> Batcher<'s> {
    /// Binds the parameters; `dropout` is the chance that an n-gram is left out in training.
    pub fn new(shape: &'s Shape, theta: &'s [f32], dropout: f32) -> Self {
        let bound = match shape.heart {
            Heart::Circuit => Bound::new(&shape.circuit, &shape.angles_rad(theta)),
            _ => Bound::new(&shape.circuit, &[]),
        };
        Self { shape, theta, bound, dropout }
    }

    /// Logits of each sample, one row of `classes` a sample.
    pub fn logits(&self, samples: &[Sample<'_>]) -> Vec<Vec<f32>> {
        samples
            .par_chunks(LANES)
            .map_init(Work::<Lanes>::default, |work, chunk| {
                let features = self.features(chunk);
                let outputs = self.outputs(work, &features);
                (0..chunk.len()).map(|lane| self.head(&outputs, lane)).collect::<Vec<_>>()
            })
            .flatten()
            .collect()
    }

    /// The mean loss and its gradient by every parameter, added into `gradient`.
    pub fn gradient(
        &self,
        samples: &[Sample<'_>],
        weights: &LossWeights,
        gradient: &mut [f32],
    ) -> f64 {
        let share = 1.0 / samples.len() as f32;
        let chunks: Vec<ChunkGradient> = samples
            .par_chunks(LANES)
            .map_init(Work::<Lanes>::default, |work, chunk| self.chunk(work, chunk, weights, share))
            .collect();
        let mut by_angle = vec![0.0; self.shape.circuit.angles()];
        let mut total = 0.0;
        let head = self.shape.head_range();
        for (part, chunk) in chunks.iter().zip(samples.chunks(LANES)) {
            total += part.loss;
            add(&mut gradient[head.clone()], &part.head);
            by_angle.iter_mut().zip(&part.angles).for_each(|(sum, x)| *sum += x);
            for (slope, sample) in part.features.iter().zip(chunk) {
                self.scatter(sample, slope, gradient);
            }
        }
        if self.shape.heart == Heart::Circuit {
            let mut by_parameter = vec![0.0; PAPER_ANGLES];
            to_parameters(&self.shape.circuit, &by_angle, &mut by_parameter);
            let angles = &mut gradient[self.shape.angle_range()];
            angles.iter_mut().zip(&by_parameter).for_each(|(sum, &x)| *sum += x as f32);
        }
        total / samples.len() as f64
    }

    fn chunk(
        &self,
        work: &mut Work<Lanes>,
        samples: &[Sample<'_>],
        weights: &LossWeights,
        share: f32,
    ) -> ChunkGradient {
        let features = self.features(samples);
        let outputs = self.outputs(work, &features);
        let classes = self.shape.classes;
        let weights_of = |class: usize| {
            let start = self.shape.head_range().start + class * QUBITS;
            &self.theta[start..start + QUBITS]
        };
        let mut part = ChunkGradient {
            loss: 0.0,
            head: vec![0.0; classes * (QUBITS + 1)],
            angles: Vec::new(),
            features: [[0.0; QUBITS]; LANES],
        };
        let mut cotangent = vec![Lanes([0.0; LANES]); QUBITS];
        for (lane, sample) in samples.iter().enumerate() {
            let mut slope = vec![0.0; classes];
            let logits = self.head(&outputs, lane);
            part.loss +=
                f64::from(loss(&logits, sample.label, sample.teacher, weights, &mut slope));
            for (class, s) in slope.iter().map(|s| s * share).enumerate() {
                for (i, w) in weights_of(class).iter().enumerate() {
                    cotangent[i].0[lane] += s * w;
                    part.head[class * QUBITS + i] += s * outputs[i].0[lane];
                }
                part.head[classes * QUBITS + class] += s;
            }
        }
        let slopes = self.back(work, &features, &cotangent, &mut part.angles);
        for (i, slope) in slopes.iter().enumerate() {
            for lane in 0..samples.len() {
                part.features[lane][i] = slope.0[lane];
            }
        }
        part
    }

    /// The rows of a sample that this pass keeps.
    fn kept<'a>(&self, sample: &Sample<'a>) -> impl Iterator<Item = usize> + Clone + use<'a> {
        let (key, dropout) = (sample.dropout_key, self.dropout);
        sample.rows.iter().enumerate().filter_map(move |(i, &row)| {
            let drops = key.is_some_and(|key| chance(key, i as u64) < dropout);
            (!drops).then_some(row as usize)
        })
    }

    /// Pooled kept rows plus bias, 11 features with a sample a lane.
    fn features(&self, samples: &[Sample<'_>]) -> [Lanes; QUBITS] {
        let bias = &self.theta[self.shape.bias_range()];
        let mut features = [Lanes([0.0; LANES]); QUBITS];
        for (lane, sample) in samples.iter().enumerate() {
            let mut sums = [0.0_f32; QUBITS];
            let mut count = 0_u32;
            for row in self.kept(sample) {
                add(&mut sums, &self.theta[row * QUBITS..(row + 1) * QUBITS]);
                count += 1;
            }
            for (i, sum) in sums.iter().enumerate() {
                features[i].0[lane] = sum / self.shape.pool.divisor(count) + bias[i];
            }
        }
        features
    }

    /// Adds a sample's feature slope to its rows and to the bias.
    fn scatter(&self, sample: &Sample<'_>, slope: &[f32; QUBITS], gradient: &mut [f32]) {
        let kept = self.kept(sample);
        let share = 1.0 / self.shape.pool.divisor(kept.clone().count() as u32);
        let each = slope.map(|s| s * share);
        for row in kept {
            add(&mut gradient[row * QUBITS..(row + 1) * QUBITS], &each);
        }
        add(&mut gradient[self.shape.bias_range()], slope);
    }

    fn outputs(&self, work: &mut Work<Lanes>, features: &[Lanes; QUBITS]) -> Vec<Lanes> {
        let each = |f: fn(f32) -> f32| features.iter().map(|x| Lanes(x.0.map(f))).collect();
        match self.shape.heart {
            Heart::Circuit => {
                self.bound.expectations(work, &features.map(|x| Lanes(x.0.map(turn))))
            }
            Heart::Linear => features.to_vec(),
            Heart::Cosine => each(|x| turn(x).cos()),
            Heart::Tanh => each(f32::tanh),
        }
    }

    /// Slopes by the features, given those by the outputs; appends those by the circuit's angles.
    fn back(
        &self,
        work: &mut Work<Lanes>,
        features: &[Lanes; QUBITS],
        cotangent: &[Lanes],
        angles: &mut Vec<f64>,
    ) -> Vec<Lanes> {
        let through = |slopes: &[Lanes], f: fn(f32) -> f32| -> Vec<Lanes> {
            slopes.iter().zip(features).map(|(s, x)| *s * Lanes(x.0.map(f))).collect()
        };
        match self.shape.heart {
            Heart::Circuit => {
                let gradient = self.bound.gradient(work, cotangent);
                angles.extend(gradient.angles.iter().map(|a| a.sum()));
                through(&gradient.inputs, turn_slope)
            }
            Heart::Linear => cotangent.to_vec(),
            Heart::Cosine => through(cotangent, |x| -turn(x).sin() * turn_slope(x)),
            Heart::Tanh => through(cotangent, |x| 1.0 - x.tanh().powi(2)),
        }
    }

    fn head(&self, outputs: &[Lanes], lane: usize) -> Vec<f32> {
        let head = &self.theta[self.shape.head_range()];
        let (weights, bias) = head.split_at(self.shape.classes * QUBITS);
        weights
            .chunks_exact(QUBITS)
            .zip(bias)
            .map(|(w, b)| w.iter().zip(outputs).fold(*b, |sum, (w, e)| sum + w * e.0[lane]))
            .collect()
    }
}

/// The encoder angle of a feature, as on the device.
fn turn(x: f32) -> f32 {
    PI * libm::tanhf(x)
}

fn turn_slope(x: f32) -> f32 {
    PI * (1.0 - libm::tanhf(x).powi(2))
}

fn add(sums: &mut [f32], values: &[f32]) {
    sums.iter_mut().zip(values).for_each(|(sum, x)| *sum += x);
}

/// A number in 0..1 that depends on key and index alone (`SplitMix64`, Steele et al. 2014).
fn chance(key: u64, index: u64) -> f32 {
    let mut z = key.wrapping_add((index + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((z ^ (z >> 31)) >> 40) as f32 / (1_u64 << 24) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gradients_of_every_heart_are_finite_differences() {
        let weights = LossWeights { alpha: 0.5, temperature: 2.0, smoothing: 0.0 };
        let teacher = [0.5, -0.5, 1.0];
        for heart in [Heart::Circuit, Heart::Linear, Heart::Cosine, Heart::Tanh] {
            let shape = Shape::new(5, 3, heart, Pool::Root);
            let mut theta = shape.init(3, 0.5);
            let samples: Vec<Sample<'_>> = [&[0_u16, 1, 1][..], &[2, 4], &[], &[3]]
                .iter()
                .enumerate()
                .map(|(i, rows)| Sample {
                    rows,
                    label: (i != 1).then_some(i % 3),
                    teacher: (i > 0).then_some(&teacher[..]),
                    dropout_key: Some(i as u64),
                })
                .collect();
            let mut gradient = vec![0.0; shape.parameters()];
            Batcher::new(&shape, &theta, 0.3).gradient(&samples, &weights, &mut gradient);
            let value = |theta: &[f32]| {
                let mut unused = vec![0.0; shape.parameters()];
                Batcher::new(&shape, theta, 0.3).gradient(&samples, &weights, &mut unused)
            };
            for i in (0..shape.parameters()).step_by(3) {
                let was = theta[i];
                theta[i] = was + 1e-2;
                let above = value(&theta);
                theta[i] = was - 1e-2;
                let below = value(&theta);
                theta[i] = was;
                let difference = ((above - below) / 2e-2) as f32;
                assert!(
                    (gradient[i] - difference).abs() < 2e-3,
                    "{heart:?} {i}: {} {difference}",
                    gradient[i]
                );
            }
        }
    }
}

//! The student behind a vector: Dense to 11 features, squash, circuit, Dense to the classes; logits and gradient.

use std::f32::consts::PI;
use std::ops::Range;

use qdllm_runtime::QUBITS;
use qdllm_runtime::angles::Squash;
use qdllm_runtime::circuit::PAPER_ANGLES;
use qdllm_runtime::circuit::fuse::Fused;
use rand::Rng;
use rayon::prelude::*;

use crate::gradient::adjoint::to_parameters;
use crate::gradient::batch::{Batch, Sums, Work};
use crate::seed::stream;
use crate::student::ansatz::Ansatz;
use crate::student::loss::{LossWeights, loss};

/// Sizes of a student and where its parameters lie in the flat vector.
pub struct DenseShape {
    /// Numbers a vector.
    pub inputs: usize,
    /// Classes.
    pub classes: usize,
    /// Features to angles.
    pub squash: Squash,
    circuit: Fused,
}

/// One vector as the student sees it.
#[derive(Clone, Copy, Debug)]
pub struct Sample<'a> {
    /// The vector, standardised where that is wanted.
    pub vector: &'a [f32],
    /// Its class, if known.
    pub label: Option<usize>,
    /// The teacher's logits, if it was asked.
    pub teacher: Option<&'a [f32]>,
    /// Drives which inputs are dropped in this pass; `None` drops none.
    pub dropout_key: Option<u64>,
}

impl DenseShape {
    /// A student with the circuit `paper`.
    pub fn new(inputs: usize, classes: usize, squash: Squash) -> Self {
        let circuit = Ansatz::paper().fused().clone();
        Self { inputs, classes, squash, circuit }
    }

    /// The circuit.
    pub fn circuit(&self) -> &Fused {
        &self.circuit
    }

    /// Weights, angle by angle.
    pub fn weight_range(&self) -> Range<usize> {
        0..QUBITS * self.inputs
    }

    /// One bias a feature.
    pub fn bias_range(&self) -> Range<usize> {
        let start = self.weight_range().end;
        start..start + QUBITS
    }

    /// The circuit's named angles in radians.
    pub fn angle_range(&self) -> Range<usize> {
        let start = self.bias_range().end;
        start..start + PAPER_ANGLES
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

    /// Parameters at the start, drawn from the stream `init` of the root seed.
    pub fn init(&self, root: u64) -> Vec<f32> {
        let mut rng = stream(root, "init");
        let mut theta = vec![0.0; self.parameters()];
        let mut fill = |range: Range<usize>, spread: f32, theta: &mut [f32]| {
            theta[range].iter_mut().for_each(|x| *x = rng.random_range(-spread..spread));
        };
        fill(self.weight_range(), 1.0 / (self.inputs as f32).sqrt(), &mut theta);
        fill(self.angle_range(), 0.1, &mut theta);
        let head = self.head_range();
        let weights = head.start..head.start + self.classes * QUBITS;
        fill(weights, (6.0 / (QUBITS + self.classes) as f32).sqrt(), &mut theta);
        // A quarter turn: the middle of the encoder's slope, where tanh is 1/2.
        if self.squash == Squash::PiTanh {
            theta[self.bias_range()].fill(0.5_f32.atanh());
        }
        theta
    }

    /// The circuit's angles in double precision.
    pub fn angles_rad(&self, theta: &[f32]) -> Vec<f64> {
        theta[self.angle_range()].iter().map(|&x| f64::from(x)).collect()
    }
}

/// A student with its parameters bound.
pub struct DenseBatcher<'s> {
    shape: &'s DenseShape,
    theta: &'s [f32],
    circuit: Batch,
    dropout: f32,
}

/// What one group of samples gives; added up in order, so that results do not depend on threads.
struct Group {
    loss: f64,
    head: Vec<f32>,
    angles: Sums,
    front: Vec<f32>,
}

impl<'s> DenseBatcher<'s> {
    /// Binds the parameters; `dropout` is the chance that an input is left out in training.
    pub fn new(shape: &'s DenseShape, theta: &'s [f32], dropout: f32) -> Self {
        let circuit = Batch::new(&shape.circuit, &shape.angles_rad(theta));
        Self { shape, theta, circuit, dropout }
    }

    /// Logits of each sample.
    pub fn logits(&self, samples: &[Sample<'_>]) -> Vec<Vec<f32>> {
        let one = |work: &mut Work, group: &[Sample<'_>]| {
            let mut out = vec![0.0; group.len() * QUBITS];
            self.circuit.expectations(work, &self.angles(&self.features(group)), &mut out);
            out.chunks_exact(QUBITS).map(|row| self.head(row)).collect::<Vec<_>>()
        };
        samples
            .par_chunks(self.circuit.lanes())
            .map_init(|| self.circuit.work(false), one)
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
        let groups: Vec<Group> = samples
            .par_chunks(self.circuit.lanes())
            .map_init(
                || self.circuit.work(true),
                |work, group| self.group(work, group, weights, share),
            )
            .collect();
        let (mut angles, mut total) = (self.circuit.sums(), 0.0);
        let head = self.shape.head_range();
        for group in &groups {
            total += group.loss;
            add(&mut gradient[head.clone()], &group.head);
            add(&mut gradient[..group.front.len()], &group.front);
            angles.add(&group.angles);
        }
        let mut by_parameter = vec![0.0; PAPER_ANGLES];
        to_parameters(&self.shape.circuit, &self.circuit.slopes(angles), &mut by_parameter);
        let angles = &mut gradient[self.shape.angle_range()];
        angles.iter_mut().zip(&by_parameter).for_each(|(sum, &x)| *sum += x as f32);
        total / samples.len() as f64
    }

    fn group(
        &self,
        work: &mut Work,
        samples: &[Sample<'_>],
        weights: &LossWeights,
        share: f32,
    ) -> Group {
        let (classes, inputs) = (self.shape.classes, self.shape.inputs);
        let features = self.features(samples);
        let mut outputs = vec![0.0; features.len()];
        self.circuit.expectations(work, &self.angles(&features), &mut outputs);
        let start = self.shape.head_range().start;
        let mut group = Group {
            loss: 0.0,
            head: vec![0.0; classes * (QUBITS + 1)],
            angles: self.circuit.sums(),
            front: vec![0.0; self.shape.bias_range().end],
        };
        let mut cotangent = vec![0.0; outputs.len()];
        let rows = outputs.chunks_exact(QUBITS).zip(cotangent.chunks_exact_mut(QUBITS));
        for (sample, (row, cotangent)) in samples.iter().zip(rows) {
            let mut slope = vec![0.0; classes];
            let logits = self.head(row);
            group.loss +=
                f64::from(loss(&logits, sample.label, sample.teacher, weights, &mut slope));
            for (class, s) in slope.iter().map(|s| s * share).enumerate() {
                let w = &self.theta[start + class * QUBITS..start + (class + 1) * QUBITS];
                for i in 0..QUBITS {
                    cotangent[i] += s * w[i];
                    group.head[class * QUBITS + i] += s * row[i];
                }
                group.head[classes * QUBITS + class] += s;
            }
        }
        let mut by_angle = vec![0.0; features.len()];
        self.circuit.gradient(work, &cotangent, &mut by_angle, &mut group.angles);
        let rows = features.chunks_exact(QUBITS).zip(by_angle.chunks_exact(QUBITS));
        for (sample, (features, by_angle)) in samples.iter().zip(rows) {
            let slopes = squash_back(self.shape.squash, features, by_angle);
            let kept = self.kept(sample);
            for (i, s) in slopes.iter().enumerate() {
                let row = &mut group.front[i * inputs..(i + 1) * inputs];
                row.iter_mut().zip(&*kept).for_each(|(sum, x)| *sum += s * x);
            }
            add(&mut group.front[QUBITS * inputs..], &slopes);
        }
        group
    }

    /// The vector with the inputs that this pass drops at zero and the others scaled up.
    fn kept<'a>(&self, sample: &Sample<'a>) -> std::borrow::Cow<'a, [f32]> {
        match sample.dropout_key {
            Some(key) if self.dropout > 0.0 => {
                let mut rng = stream(key, "inputs");
                let up = 1.0 / (1.0 - self.dropout);
                let each = |&x: &f32| if rng.random::<f32>() < self.dropout { 0.0 } else { x * up };
                sample.vector.iter().map(each).collect()
            }
            _ => sample.vector.into(),
        }
    }

    /// A row of 11 features a sample.
    fn features(&self, samples: &[Sample<'_>]) -> Vec<f32> {
        let (weights, bias) =
            (&self.theta[self.shape.weight_range()], &self.theta[self.shape.bias_range()]);
        let mut features = Vec::with_capacity(samples.len() * QUBITS);
        for sample in samples {
            let kept = self.kept(sample);
            let rows = weights.chunks_exact(self.shape.inputs).zip(bias);
            features.extend(
                rows.map(|(row, bias)| row.iter().zip(&*kept).fold(*bias, |s, (w, x)| s + w * x)),
            );
        }
        features
    }

    fn angles(&self, features: &[f32]) -> Vec<f32> {
        let mut angles = features.to_vec();
        for row in angles.chunks_exact_mut(QUBITS) {
            if let Ok(row) = row.try_into() {
                self.shape.squash.apply(row);
            }
        }
        angles
    }

    fn head(&self, outputs: &[f32]) -> Vec<f32> {
        let head = &self.theta[self.shape.head_range()];
        let (weights, bias) = head.split_at(self.shape.classes * QUBITS);
        weights
            .chunks_exact(QUBITS)
            .zip(bias)
            .map(|(w, b)| w.iter().zip(outputs).fold(*b, |sum, (w, e)| sum + w * e))
            .collect()
    }
}

/// Slopes by a sample's features, given those by its angles.
///
/// Min-max: with `u = (x - low) / span`, an angle is `10 u`; the largest and the least feature move every angle, and
/// where several are largest or least the first of them does.
fn squash_back(squash: Squash, features: &[f32], by_angle: &[f32]) -> Vec<f32> {
    match squash {
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

fn add(sums: &mut [f32], values: &[f32]) {
    sums.iter_mut().zip(values).for_each(|(sum, x)| *sum += x);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gradients_through_dense_and_squash_are_finite_differences() {
        let weights = LossWeights { alpha: 0.5, temperature: 2.0, smoothing: 0.0 };
        let teacher = [0.5, -0.5, 1.0];
        let mut rng = stream(5, "vectors");
        let vectors: Vec<Vec<f32>> =
            (0..5).map(|_| (0..7).map(|_| rng.random_range(-1.0..1.0)).collect()).collect();
        for squash in [Squash::PiTanh, Squash::MinMax10] {
            let shape = DenseShape::new(7, 3, squash);
            let mut theta = shape.init(3);
            let samples: Vec<Sample<'_>> = vectors
                .iter()
                .enumerate()
                .map(|(i, vector)| Sample {
                    vector,
                    label: (i != 1).then_some(i % 3),
                    teacher: (i > 0).then_some(&teacher[..]),
                    dropout_key: Some(i as u64),
                })
                .collect();
            let mut gradient = vec![0.0; shape.parameters()];
            DenseBatcher::new(&shape, &theta, 0.3).gradient(&samples, &weights, &mut gradient);
            let value = |theta: &[f32]| {
                let mut unused = vec![0.0; shape.parameters()];
                DenseBatcher::new(&shape, theta, 0.3).gradient(&samples, &weights, &mut unused)
            };
            let mut largest = 0.0_f32;
            for i in 0..shape.parameters() {
                // Min-max multiplies by 10 over the span: steep, so small steps.
                let step = if i < shape.bias_range().end { 1e-3 } else { 1e-2 };
                let was = theta[i];
                theta[i] = was + step;
                let above = value(&theta);
                theta[i] = was - step;
                let below = value(&theta);
                theta[i] = was;
                let difference = ((above - below) / (2.0 * f64::from(step))) as f32;
                largest = largest.max(gradient[i].abs());
                let bound = 4e-3 * difference.abs().max(1.0);
                assert!(
                    (gradient[i] - difference).abs() < bound,
                    "{squash:?} {i}: {} {difference}",
                    gradient[i]
                );
            }
            assert!(largest > 0.05, "the gradient is not all zero: {largest}");
        }
    }

    #[test]
    fn equal_features_have_no_slope_under_min_max() {
        let slopes = squash_back(Squash::MinMax10, &[2.0; 11], &[1.0; 11]);
        assert_eq!(slopes, [0.0; 11]);
        // Moving every feature alike moves no angle.
        let features: Vec<f32> = (0..11).map(|i| (i * 7 % 11) as f32).collect();
        let by_angle: Vec<f32> = (0..11).map(|i| i as f32 - 3.0).collect();
        let sum: f32 = squash_back(Squash::MinMax10, &features, &by_angle).iter().sum();
        assert!(sum.abs() < 1e-4, "{sum}");
    }
}

//! The batch that computes a student's logits and the gradient of its parameters.

use crate::gradient::adjoint::to_parameters;
use crate::gradient::batch::{Batch, Sums, Work};
use crate::student::loss::{LossWeights, loss};
pub use crate::student::shape::{Heart, Shape};
use qdllm_runtime::QUBITS;
use rayon::prelude::*;
use std::f32::consts::PI;

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
    circuit: Batch,
    dropout: f32,
}

/// What one group of samples gives; collected in order, so that results do not depend on threads.
struct GroupGradient {
    loss: f64,
    head: Vec<f32>,
    angles: Sums,
    /// One row of slopes by features a sample.
    features: Vec<f32>,
}

impl<'s> Batcher<'s> {
    /// Binds the parameters; `dropout` is the chance that an n-gram is left out in training.
    pub fn new(shape: &'s Shape, theta: &'s [f32], dropout: f32) -> Self {
        let angles = match shape.heart {
            Heart::Circuit => shape.angles_rad(theta),
            _ => Vec::new(),
        };
        Self { shape, theta, circuit: Batch::new(shape.circuit(), &angles), dropout }
    }

    /// Logits of each sample, one row of `classes` a sample.
    pub fn logits(&self, samples: &[Sample<'_>]) -> Vec<Vec<f32>> {
        samples
            .par_chunks(self.circuit.lanes())
            .map_init(
                || self.circuit.work(false),
                |work, group| {
                    let outputs = self.outputs(work, &self.features(group));
                    outputs
                        .chunks_exact(self.shape.outputs())
                        .map(|row| self.head(row))
                        .collect::<Vec<_>>()
                },
            )
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
        let lanes = self.circuit.lanes();
        let groups: Vec<GroupGradient> = samples
            .par_chunks(lanes)
            .map_init(
                || self.circuit.work(self.shape.heart == Heart::Circuit),
                |work, group| self.group(work, group, weights, share),
            )
            .collect();
        let mut angles = self.circuit.sums();
        let mut total = 0.0;
        let head = self.shape.head_range();
        for (part, group) in groups.iter().zip(samples.chunks(lanes)) {
            total += part.loss;
            add(&mut gradient[head.clone()], &part.head);
            angles.add(&part.angles);
            for (slope, sample) in part.features.chunks_exact(QUBITS).zip(group) {
                self.scatter(sample, slope, gradient);
            }
        }
        if self.shape.heart == Heart::Circuit {
            let mut by_parameter = vec![0.0; self.shape.ansatz.parameters()];
            to_parameters(self.shape.circuit(), &self.circuit.slopes(angles), &mut by_parameter);
            let angles = &mut gradient[self.shape.angle_range()];
            angles.iter_mut().zip(&by_parameter).for_each(|(sum, &x)| *sum += x as f32);
        }
        total / samples.len() as f64
    }

    fn group(
        &self,
        work: &mut Work,
        samples: &[Sample<'_>],
        weights: &LossWeights,
        share: f32,
    ) -> GroupGradient {
        let features = self.features(samples);
        let outputs = self.outputs(work, &features);
        let (classes, width) = (self.shape.classes, self.shape.outputs());
        let start = self.shape.head_range().start;
        let mut part = GroupGradient {
            loss: 0.0,
            head: vec![0.0; classes * (width + 1)],
            angles: self.circuit.sums(),
            features: Vec::new(),
        };
        let mut cotangent = vec![0.0; outputs.len()];
        let rows = outputs.chunks_exact(width).zip(cotangent.chunks_exact_mut(width));
        for (sample, (row, cotangent)) in samples.iter().zip(rows) {
            let mut slope = vec![0.0; classes];
            let logits = self.head(row);
            part.loss +=
                f64::from(loss(&logits, sample.label, sample.teacher, weights, &mut slope));
            for (class, s) in slope.iter().map(|s| s * share).enumerate() {
                let w = &self.theta[start + class * width..start + (class + 1) * width];
                for i in 0..width {
                    cotangent[i] += s * w[i];
                    part.head[class * width + i] += s * row[i];
                }
                part.head[classes * width + class] += s;
            }
        }
        part.features = self.back(work, &features, &cotangent, &mut part.angles);
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

    /// Pooled kept rows plus bias: a row of 11 features a sample.
    fn features(&self, samples: &[Sample<'_>]) -> Vec<f32> {
        let bias = &self.theta[self.shape.bias_range()];
        let mut features = Vec::with_capacity(samples.len() * QUBITS);
        for sample in samples {
            let mut sums = [0.0_f32; QUBITS];
            let mut count = 0_u32;
            for row in self.kept(sample) {
                add(&mut sums, &self.theta[row * QUBITS..(row + 1) * QUBITS]);
                count += 1;
            }
            let divisor = self.shape.pool.divisor(count);
            features.extend(sums.iter().zip(bias).map(|(sum, bias)| sum / divisor + bias));
        }
        features
    }

    /// Adds a sample's feature slope to its rows and to the bias.
    fn scatter(&self, sample: &Sample<'_>, slope: &[f32], gradient: &mut [f32]) {
        let kept = self.kept(sample);
        let share = 1.0 / self.shape.pool.divisor(kept.clone().count() as u32);
        let each: Vec<f32> = slope.iter().map(|s| s * share).collect();
        for row in kept {
            add(&mut gradient[row * QUBITS..(row + 1) * QUBITS], &each);
        }
        add(&mut gradient[self.shape.bias_range()], slope);
    }

    /// Rows of outputs for rows of features.
    fn outputs(&self, work: &mut Work, features: &[f32]) -> Vec<f32> {
        let each = |f: fn(f32) -> f32| features.iter().map(|&x| f(x)).collect::<Vec<_>>();
        match self.shape.heart {
            Heart::Circuit => {
                let samples = features.len() / QUBITS;
                let mut out = vec![0.0; samples * self.shape.outputs()];
                self.circuit.expectations(work, &self.angles(features), &mut out);
                out
            }
            Heart::Linear => features.to_vec(),
            Heart::Cosine => each(|x| turn(x).cos()),
            Heart::Tanh => each(f32::tanh),
        }
    }

    /// Slopes by the features, given those by the outputs; adds what the circuit's angles need.
    fn back(
        &self,
        work: &mut Work,
        features: &[f32],
        cotangent: &[f32],
        angles: &mut Sums,
    ) -> Vec<f32> {
        let through = |slopes: &[f32], f: fn(f32) -> f32| -> Vec<f32> {
            slopes.iter().zip(features).map(|(s, &x)| s * f(x)).collect()
        };
        match self.shape.heart {
            Heart::Circuit => {
                let inputs = self.circuit.inputs();
                let mut by_turn = vec![0.0; features.len() / QUBITS * inputs];
                self.circuit.gradient(work, cotangent, &mut by_turn, angles);
                // Features beyond the circuit's qubits reach nothing.
                let mut all = vec![0.0; features.len()];
                for (all, own) in all.chunks_exact_mut(QUBITS).zip(by_turn.chunks_exact(inputs)) {
                    all[..inputs].copy_from_slice(own);
                }
                through(&all, turn_slope)
            }
            Heart::Linear => cotangent.to_vec(),
            Heart::Cosine => through(cotangent, |x| -turn(x).sin() * turn_slope(x)),
            Heart::Tanh => through(cotangent, |x| 1.0 - x.tanh().powi(2)),
        }
    }

    /// Encoder angles of rows of features: as many a row as the circuit has qubits.
    fn angles(&self, features: &[f32]) -> Vec<f32> {
        let rows = features.chunks_exact(QUBITS);
        rows.flat_map(|row| row[..self.circuit.inputs()].iter().map(|&x| turn(x))).collect()
    }

    fn head(&self, outputs: &[f32]) -> Vec<f32> {
        let head = &self.theta[self.shape.head_range()];
        let width = self.shape.outputs();
        let (weights, bias) = head.split_at(self.shape.classes * width);
        weights
            .chunks_exact(width)
            .zip(bias)
            .map(|(w, b)| w.iter().zip(outputs).fold(*b, |sum, (w, e)| sum + w * e))
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
    use crate::student::ansatz::Ansatz;
    use qdllm_runtime::text::pool::Pool;

    /// Five qubits, gates with affine angles, fewer read-outs than qubits.
    const CUSTOM: &str = "OPENQASM 2.0; include \"qelib1.inc\"; qreg q[5]; creg c[3];
        h q; ry(2*a-b/3+pi/4) q; crx(a) q[0],q[1]; ryy(c-0.5) q[1],q[4]; u(b,c,d) q[2];
        cu1(-d) q[2],q[3]; rzz(d+0.3) q[3],q[4]; cry(b) q[4],q[0]; swap q[0],q[3]; rx(a-c) q;
        measure q[1] -> c[2]; measure q[4] -> c[0]; measure q[3] -> c[1];";

    #[test]
    fn gradients_of_every_heart_are_finite_differences() {
        for heart in [Heart::Circuit, Heart::Linear, Heart::Cosine, Heart::Tanh] {
            gradients_are_finite_differences(heart, Ansatz::paper());
        }
    }

    #[test]
    fn gradients_of_a_circuit_from_qasm_are_finite_differences() {
        let ansatz = Ansatz::parse(CUSTOM, std::path::Path::new("custom.qasm")).unwrap();
        assert_eq!((ansatz.parameters(), ansatz.fused().outputs.len()), (4, 3));
        gradients_are_finite_differences(Heart::Circuit, ansatz);
    }

    fn gradients_are_finite_differences(heart: Heart, ansatz: Ansatz) {
        let weights = LossWeights { alpha: 0.5, temperature: 2.0, smoothing: 0.0 };
        let teacher = [0.5, -0.5, 1.0];
        let shape = Shape::new(5, 3, heart, Pool::Root, ansatz);
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
        // Every angle and every third of the others.
        let angles = shape.angle_range();
        for i in (0..shape.parameters()).filter(|i| i % 3 == 0 || angles.contains(i)) {
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

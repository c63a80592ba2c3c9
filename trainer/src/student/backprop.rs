//! A student's logits, the loss, and the gradient of its parameters, a batch of samples at once: front end, circuit,
//! head, and back.
//!
//! The loss is the distillation loss of arXiv 2505.13205. With a label and a teacher:
//! `(1-a) CE + a T^2 KL(teacher/T || student/T) + a JS(teacher, student)`. With a label alone: `CE`. With a teacher alone:
//! `T^2 KL + JS`, the same weight as a label has.
//!
//! Where classes have weights, the cross-entropy of class c counts `w[c]` times. For a teacher's shares p, that is the loss
//! by the shares `w p / sum(w p)`, `sum(w p)` times.

use super::front_end::Shape;
use super::front_end::{FrontEnd, Sample, turn_slope};
use crate::gradient::batch::{Batch, Sums, Work};
use crate::gradient::to_parameters;
use crate::numeric::{add, softmax};
use crate::options::{HiddenLayer, TrainingConfig};
use qdllm_runtime::QUBITS;
use rayon::prelude::*;
use std::borrow::Cow;
use std::f32::consts::PI;

pub struct Batcher<'s, F> {
    shape: &'s Shape<F>,
    theta: &'s [f32],
    circuit: Batch,
    dropout: f32,
}

/// What one group of samples gives; collected in order, so that results do not depend on threads.
struct GroupGradient {
    loss: f64,
    head: Vec<f32>,
    angles: Sums,
    /// As the front end's `accumulate` takes it.
    front: Vec<f32>,
}

impl<'s, F: FrontEnd> Batcher<'s, F> {
    /// Binds the parameters; `dropout` is the chance that a part of the input is left out where a sample has a key.
    pub fn new(shape: &'s Shape<F>, theta: &'s [f32], dropout: f32) -> Self {
        let angles = match shape.hidden {
            HiddenLayer::Circuit => shape.angles_rad(theta),
            _ => Vec::new(),
        };
        Self { shape, theta, circuit: Batch::new(&shape.ansatz.fused, &angles), dropout }
    }

    /// Logits of each sample, one row of `classes` a sample.
    pub fn logits(&self, samples: &[Sample<'_, F::Item>]) -> Vec<Vec<f32>> {
        let rows = self.expectations(samples);
        rows.par_chunks_exact(self.shape.outputs()).map(|row| self.head(row)).collect()
    }

    /// What the head reads of each sample, one row a sample.
    pub fn expectations(&self, samples: &[Sample<'_, F::Item>]) -> Vec<f32> {
        let group = |work: &mut Work, group: &[Sample<'_, F::Item>]| {
            self.outputs(work, &self.features(group))
        };
        let groups = samples.par_chunks(self.circuit.lanes());
        groups.map_init(|| self.circuit.work(false), group).flatten().collect()
    }

    /// The mean loss and its gradient by every parameter, added into `gradient`.
    pub fn gradient(
        &self,
        samples: &[Sample<'_, F::Item>],
        settings: &TrainingConfig,
        gradient: &mut [f32],
    ) -> f64 {
        let share = 1.0 / samples.len() as f32;
        let lanes = self.circuit.lanes();
        let groups: Vec<GroupGradient> = samples
            .par_chunks(lanes)
            .map_init(
                || self.circuit.work(self.shape.hidden == HiddenLayer::Circuit),
                |work, group| self.group(work, group, settings, share),
            )
            .collect();
        let mut angles = self.circuit.sums();
        let mut total = 0.0;
        let head = self.shape.head_range();
        let front = ..self.shape.bias_range().end;
        for (part, group) in groups.iter().zip(samples.chunks(lanes)) {
            total += part.loss;
            add(&mut gradient[head.clone()], 1.0, &part.head);
            angles.add(&part.angles);
            self.shape.front.accumulate(group, &part.front, self.dropout, &mut gradient[front]);
        }
        if self.shape.hidden == HiddenLayer::Circuit {
            let mut by_parameter = vec![0.0; self.shape.ansatz.parameters];
            let slopes = self.circuit.slopes(angles);
            to_parameters(&self.shape.ansatz.fused, &slopes, &mut by_parameter);
            let angles = &mut gradient[self.shape.angle_range()];
            angles.iter_mut().zip(&by_parameter).for_each(|(sum, &x)| *sum += x as f32);
        }
        total / samples.len() as f64
    }

    fn group(
        &self,
        work: &mut Work,
        samples: &[Sample<'_, F::Item>],
        settings: &TrainingConfig,
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
            front: Vec::new(),
        };
        let mut cotangent = vec![0.0; outputs.len()];
        let rows = outputs.chunks_exact(width).zip(cotangent.chunks_exact_mut(width));
        for (sample, (row, cotangent)) in samples.iter().zip(rows) {
            let mut slope = vec![0.0; classes];
            let logits = self.head(row);
            part.loss += f64::from(loss(&logits, sample, settings, &mut slope));
            for (class, s) in slope.iter().map(|s| s * share).enumerate() {
                let w = &self.theta[start + class * width..start + (class + 1) * width];
                for i in 0..width {
                    cotangent[i] += s * w[i];
                    part.head[class * width + i] += s * row[i];
                }
                part.head[classes * width + class] += s;
            }
        }
        let slopes = self.back(work, &features, &cotangent, &mut part.angles);
        part.front = self.shape.front.group_gradient(samples, slopes, self.dropout);
        part
    }

    /// A row of 11 features a sample.
    fn features(&self, samples: &[Sample<'_, F::Item>]) -> Vec<f32> {
        let one = |sample| self.shape.front.features(self.theta, sample, self.dropout);
        samples.iter().flat_map(one).collect()
    }

    fn outputs(&self, work: &mut Work, features: &[f32]) -> Vec<f32> {
        if let Some((of, _)) = control(self.shape.hidden) {
            return features.iter().map(|&x| of(x)).collect();
        }
        let samples = features.len() / QUBITS;
        let mut out = vec![0.0; samples * self.shape.outputs()];
        let squash = self.shape.front.squash();
        let angles = features.chunks_exact(QUBITS).flat_map(|row| {
            let mut angles: [f32; QUBITS] = std::array::from_fn(|i| row[i]);
            squash.apply(&mut angles);
            // As many as the circuit has qubits.
            angles.into_iter().take(self.circuit.inputs())
        });
        self.circuit.expectations(work, &angles.collect::<Vec<f32>>(), &mut out);
        out
    }

    /// Slopes by the features, given those by the outputs; adds what the circuit's angles need.
    fn back(
        &self,
        work: &mut Work,
        features: &[f32],
        cotangent: &[f32],
        angles: &mut Sums,
    ) -> Vec<f32> {
        if let Some((_, slope)) = control(self.shape.hidden) {
            return cotangent.iter().zip(features).map(|(s, &x)| s * slope(x)).collect();
        }
        let inputs = self.circuit.inputs();
        let mut by_turn = vec![0.0; features.len() / QUBITS * inputs];
        self.circuit.gradient(work, cotangent, &mut by_turn, angles);
        let rows = features.chunks_exact(QUBITS).zip(by_turn.chunks_exact(inputs));
        let slopes = rows.flat_map(|(row, own)| {
            // Features beyond the circuit's qubits reach nothing.
            let mut all = [0.0; QUBITS];
            all[..inputs].copy_from_slice(own);
            self.shape.front.through_squash(row, &all)
        });
        slopes.collect()
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

/// The encoder angle of a feature in the control [`HiddenLayer::Cosine`], as on the device.
fn turn(x: f32) -> f32 {
    PI * libm::tanhf(x)
}

type Function = fn(f32) -> f32;

/// What a control computes of a feature in the circuit's place, and its slope.
fn control(hidden: HiddenLayer) -> Option<(Function, Function)> {
    match hidden {
        HiddenLayer::Circuit => None,
        HiddenLayer::Linear => Some((|x| x, |_| 1.0)),
        HiddenLayer::Cosine => Some((|x| turn(x).cos(), |x| -turn(x).sin() * turn_slope(x))),
        HiddenLayer::Tanh => Some((f32::tanh, |x| 1.0 - x.tanh().powi(2))),
    }
}

/// The teacher's logits as the weights shift them, and what a text with these counts.
fn weighted<'t>(teacher: &'t [f32], weights: &[f32]) -> (Cow<'t, [f32]>, f32) {
    if weights.is_empty() {
        return (teacher.into(), 1.0);
    }
    let whole = softmax(teacher, 1.0).iter().zip(weights).map(|(p, w)| p * w).sum();
    (teacher.iter().zip(weights).map(|(z, w)| z + w.ln()).collect(), whole)
}

/// The loss of one sample; its gradient by each student logit is added to `slope`.
///
/// Label and teacher (logits) may each be absent; with neither the loss is 0.
pub fn loss<T>(
    student: &[f32],
    sample: &Sample<'_, T>,
    settings: &TrainingConfig,
    slope: &mut [f32],
) -> f32 {
    let &Sample { label, teacher, weights, .. } = sample;
    let share = match (label, teacher) {
        (Some(_), Some(_)) => settings.alpha,
        (None, Some(_)) => 1.0,
        _ => 0.0,
    };
    let q = softmax(student, 1.0);
    let mut total = 0.0;
    if let Some(label) = label {
        let even = settings.smoothing / student.len() as f32;
        let rest = weights.get(label).unwrap_or(&1.0) * (1.0 - share);
        for (i, &qi) in q.iter().enumerate() {
            let target = even + if i == label { 1.0 - settings.smoothing } else { 0.0 };
            total -= rest * target * qi.max(f32::MIN_POSITIVE).ln();
            slope[i] += rest * (qi - target);
        }
    }
    if let Some(teacher) = teacher.filter(|_| share > 0.0) {
        let t = settings.temperature;
        let (teacher, weight) = weighted(teacher, weights);
        let share = share * weight;
        let (soft_q, soft_p) = (softmax(student, t), softmax(&teacher, t));
        let p = softmax(&teacher, 1.0);
        let mean = |i: usize| 0.5 * (p[i] + q[i]);
        // ln(a / b) that is 0 where the weight before it vanishes.
        let log_ratio = |a: f32, b: f32| {
            if a > 0.0 { (a / b.max(f32::MIN_POSITIVE)).ln() } else { 0.0 }
        };
        let lean: f32 = (0..q.len()).map(|i| q[i] * log_ratio(q[i], mean(i))).sum();
        for i in 0..q.len() {
            let kl = t * t * soft_p[i] * log_ratio(soft_p[i], soft_q[i]);
            let from_p = p[i] * log_ratio(p[i], mean(i));
            let from_q = q[i] * log_ratio(q[i], mean(i));
            total += share * (kl + 0.5 * (from_p + from_q));
            let kl_slope = t * (soft_q[i] - soft_p[i]);
            let js_slope = 0.5 * q[i] * (log_ratio(q[i], mean(i)) - lean);
            slope[i] += share * (kl_slope + js_slope);
        }
    }
    total
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed::stream;
    use crate::student::dense::Dense;
    use crate::student::shape::Ansatz;
    use crate::student::words::Words;
    use qdllm_runtime::angles::Squash;
    use qdllm_runtime::text::ngram::GramKinds;
    use qdllm_runtime::text::pool::{Pool, RowBits};
    use rand::Rng;

    /// Five qubits, gates with affine angles, fewer read-outs than qubits.
    const CUSTOM: &str = "OPENQASM 2.0; include \"qelib1.inc\"; qreg q[5]; creg c[3];
        h q; ry(2*a-b/3+pi/4) q; crx(a) q[0],q[1]; ryy(c-0.5) q[1],q[4]; u(b,c,d) q[2];
        cu1(-d) q[2],q[3]; rzz(d+0.3) q[3],q[4]; cry(b) q[4],q[0]; swap q[0],q[3]; rx(a-c) q;
        measure q[1] -> c[2]; measure q[4] -> c[0]; measure q[3] -> c[1];";

    #[test]
    fn gradients_of_every_heart_are_finite_differences() {
        for hidden in
            [HiddenLayer::Circuit, HiddenLayer::Linear, HiddenLayer::Cosine, HiddenLayer::Tanh]
        {
            gradients_are_finite_differences(hidden, Ansatz::paper());
        }
    }

    #[test]
    fn gradients_of_a_circuit_from_qasm_are_finite_differences() {
        let ansatz = Ansatz::parse(CUSTOM, std::path::Path::new("custom.qasm")).unwrap();
        assert_eq!((ansatz.parameters, ansatz.fused.outputs.len()), (4, 3));
        gradients_are_finite_differences(HiddenLayer::Circuit, ansatz);
    }

    fn gradients_are_finite_differences(hidden: HiddenLayer, ansatz: Ansatz) {
        let settings = TrainingConfig { smoothing: 0.0, ..TrainingConfig::default() };
        let teacher = [0.5, -0.5, 1.0];
        let front = Words {
            keys: (0..5).collect(),
            kinds: GramKinds::default(),
            pool: Pool::Root,
            row_bits: RowBits::Four,
            row_spread: 0.5,
        };
        let shape = Shape { front, classes: 3, hidden, ansatz };
        let mut theta = shape.init(3);
        let samples: Vec<Sample<'_, u16>> = [&[0_u16, 1, 1][..], &[2, 4], &[], &[3]]
            .iter()
            .enumerate()
            .map(|(i, input)| Sample {
                input,
                label: (i != 1).then_some(i % 3),
                teacher: (i > 0).then_some(&teacher[..]),
                weights: &[0.5, 2.0, 1.0],
                dropout_key: Some(i as u64),
            })
            .collect();
        let mut gradient = vec![0.0; shape.parameters()];
        Batcher::new(&shape, &theta, 0.3).gradient(&samples, &settings, &mut gradient);
        let value = |theta: &[f32]| {
            let mut unused = vec![0.0; shape.parameters()];
            Batcher::new(&shape, theta, 0.3).gradient(&samples, &settings, &mut unused)
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
                "{hidden:?} {i}: {} {difference}",
                gradient[i]
            );
        }
    }

    #[test]
    fn gradients_through_dense_and_squash_are_finite_differences() {
        let settings = TrainingConfig { smoothing: 0.0, ..TrainingConfig::default() };
        let teacher = [0.5, -0.5, 1.0];
        let mut rng = stream(5, "vectors");
        let vectors: Vec<Vec<f32>> =
            (0..5).map(|_| (0..7).map(|_| rng.random_range(-1.0..1.0)).collect()).collect();
        for squash in [Squash::PiTanh, Squash::MinMax10] {
            let front = Dense { scale: vec![(0.0, 1.0); 7], squash, digest: String::new() };
            let hidden = HiddenLayer::Circuit;
            let shape = Shape { front, classes: 3, hidden, ansatz: Ansatz::paper() };
            let mut theta = shape.init(3);
            let samples: Vec<Sample<'_, f32>> = vectors
                .iter()
                .enumerate()
                .map(|(i, input)| Sample {
                    input,
                    label: (i != 1).then_some(i % 3),
                    teacher: (i > 0).then_some(&teacher[..]),
                    weights: &[],
                    dropout_key: Some(i as u64),
                })
                .collect();
            let mut gradient = vec![0.0; shape.parameters()];
            Batcher::new(&shape, &theta, 0.3).gradient(&samples, &settings, &mut gradient);
            let value = |theta: &[f32]| {
                let mut unused = vec![0.0; shape.parameters()];
                Batcher::new(&shape, theta, 0.3).gradient(&samples, &settings, &mut unused)
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

    fn settings() -> TrainingConfig {
        TrainingConfig { alpha: 0.4, temperature: 2.0, smoothing: 0.1, ..TrainingConfig::default() }
    }

    fn sample<'a>(
        label: Option<usize>,
        teacher: Option<&'a [f32]>,
        weights: &'a [f32],
    ) -> Sample<'a, u16> {
        Sample { input: &[], label, teacher, weights, dropout_key: None }
    }

    #[test]
    fn equal_weights_change_nothing_and_a_student_follows_weighted_shares() {
        let (student, teacher) = ([0.3, -1.2, 0.8], [1.5, -0.7, 0.2]);
        for (label, soft) in
            [(Some(2), None), (None, Some(&teacher[..])), (Some(1), Some(&teacher))]
        {
            let value =
                |weights| loss(&student, &sample(label, soft, weights), &settings(), &mut [0.0; 3]);
            assert!((value(&[1.0; 3]) - value(&[])).abs() < 1e-6);
            assert!((value(&[3.0; 3]) - 3.0 * value(&[])).abs() < 1e-5);
        }
        let weights = [1.0, 8.0, 1.0];
        let shifted = [1.5, -0.7 + 8_f32.ln(), 0.2];
        let mut slope = [0.0; 3];
        loss(&shifted, &sample(None, Some(&teacher), &weights), &settings(), &mut slope);
        assert!(slope.iter().all(|s| s.abs() < 1e-5), "{slope:?}");
    }

    #[test]
    fn gradient_is_the_finite_difference() {
        let student = [0.3, -1.2, 0.8, 0.1];
        let teacher = [1.5, -0.7, 0.2, -2.0];
        let answers = [(Some(2), None), (None, Some(&teacher[..])), (Some(1), Some(&teacher[..]))];
        let weights: [&[f32]; 2] = [&[], &[0.5, 4.0, 2.0, 1.0]];
        for ((label, soft), weights) in answers.into_iter().flat_map(|a| weights.map(|w| (a, w))) {
            let sample = sample(label, soft, weights);
            let value = |z: &[f32]| loss(z, &sample, &settings(), &mut [0.0; 4]);
            let mut slope = [0.0; 4];
            loss(&student, &sample, &settings(), &mut slope);
            for i in 0..4 {
                let moved = |by: f32| {
                    let mut z = student;
                    z[i] += by;
                    value(&z)
                };
                let difference = (moved(1e-2) - moved(-1e-2)) / 2e-2;
                assert!((slope[i] - difference).abs() < 1e-3, "{i}: {} {difference}", slope[i]);
            }
        }
    }

    #[test]
    fn a_student_that_equals_its_teacher_has_no_soft_loss() {
        let z = [2.0, -1.0, 0.5];
        let mut slope = [0.0; 3];
        let value = loss(&z, &sample(None, Some(&z), &[]), &settings(), &mut slope);
        assert!(value.abs() < 1e-6 && slope.iter().all(|s| s.abs() < 1e-6));
    }

    #[test]
    fn extreme_logits_stay_finite() {
        let mut slope = [0.0; 2];
        let teacher = [-300.0, 300.0];
        let sample = sample(Some(1), Some(&teacher), &[1e-6, 1e6]);
        let value = loss(&[500.0, -500.0], &sample, &settings(), &mut slope);
        assert!(value.is_finite() && slope.iter().all(|s| s.is_finite()));
    }
}

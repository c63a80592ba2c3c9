//! A student's sizes: what stands between features and head, and where each parameter lies in the flat vector.

use super::ansatz::Ansatz;
use super::front_end::FrontEnd;
use crate::options::HiddenLayer;
use crate::seed::stream;
use qdllm_runtime::QUBITS;
use qdllm_runtime::angles::Squash;
use qdllm_runtime::circuit::fuse::Fused;
use rand::Rng;
use std::ops::Range;

#[derive(Clone, Debug)]
pub struct Shape<F> {
    pub front: F,
    pub classes: usize,
    pub hidden: HiddenLayer,
    pub ansatz: Ansatz,
}

impl<F: FrontEnd> Shape<F> {
    pub fn circuit(&self) -> &Fused {
        &self.ansatz.fused
    }

    /// Numbers that the head reads: the circuit's expectations, else the features.
    pub fn outputs(&self) -> usize {
        match self.hidden {
            HiddenLayer::Circuit => self.circuit().outputs.len(),
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
        theta
    }

    pub fn angles_rad(&self, theta: &[f32]) -> Vec<f64> {
        theta[self.angle_range()].iter().map(|&x| f64::from(x)).collect()
    }
}

//! A student's sizes: what stands between features and head, and where each parameter lies in the flat vector.

use crate::seed::stream;
use crate::student::ansatz::Ansatz;
use qdllm_runtime::QUBITS;
use qdllm_runtime::circuit::fuse::Fused;
use qdllm_runtime::text::pool::Pool;
use rand::Rng;
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// What stands between the features and the head: the circuit, or a control of the same size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Heart {
    /// The trained circuit: the preset `paper` or one from a file.
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
    pub(crate) ansatz: Ansatz,
}

impl Shape {
    /// A student of `rows` vocabulary rows and `classes` classes; only [`Heart::Circuit`] uses the
    /// ansatz.
    pub fn new(rows: usize, classes: usize, heart: Heart, pool: Pool, ansatz: Ansatz) -> Self {
        Self { rows, classes, heart, pool, ansatz }
    }

    /// The circuit of [`Heart::Circuit`].
    pub fn circuit(&self) -> &Fused {
        self.ansatz.fused()
    }

    /// The circuit as it was given.
    pub fn ansatz(&self) -> &Ansatz {
        &self.ansatz
    }

    /// Numbers that the head reads: the circuit's expectations, else the features.
    pub fn outputs(&self) -> usize {
        match self.heart {
            Heart::Circuit => self.circuit().outputs.len(),
            _ => QUBITS,
        }
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
        let circuit = self.heart == Heart::Circuit;
        start..start + if circuit { self.ansatz.parameters() } else { 0 }
    }

    /// Weights by class, then one bias a class.
    pub fn head_range(&self) -> Range<usize> {
        let start = self.angle_range().end;
        start..start + self.classes * (self.outputs() + 1)
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
        let outputs = self.outputs();
        let weights = head.start..head.start + self.classes * outputs;
        fill(weights, (6.0 / (outputs + self.classes) as f32).sqrt(), &mut theta);
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

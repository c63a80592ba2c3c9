//! The coefficients of every logit by (1, cos, sin) of every encoder angle.
//!
//! Three values of each angle - 0 and a third of a turn either way - determine all `3^n` of them.

use crate::batch::Batch;
use qdllm_runtime::Model;
use std::f64::consts::TAU;

/// All coefficients.
#[derive(Clone, Debug)]
pub struct Coefficients {
    /// Encoder angles.
    pub qubits: usize,
    /// Logits, each less the mean over classes.
    pub classes: usize,
    /// By monomial (base 3, digit of qubit `q` is 0 for 1, 1 for cosine, 2 for sine), one row a class.
    pub values: Vec<f64>,
}

impl Coefficients {
    /// Of a model's logits.
    pub fn of(model: &Model<'_>, batch: &Batch) -> Self {
        let classes = model.classes();
        Self::new(batch, classes, |expectations, row| {
            let mut logits = vec![0.0; classes];
            model.head().logits(expectations, &mut logits);
            let mean = logits.iter().sum::<f32>() / classes as f32;
            row.iter_mut().zip(logits).for_each(|(x, l)| *x = f64::from(l - mean));
        })
    }

    /// Of any `classes` linear functions of a circuit's expectations: `head(expectations, row)`.
    pub fn new(batch: &Batch, classes: usize, head: impl Fn(&[f32], &mut [f64])) -> Self {
        let qubits = batch.inputs();
        let size = 3_usize.pow(qubits as u32);
        #[allow(clippy::cast_possible_truncation)]
        let angles: Vec<f32> = (0..size)
            .flat_map(|i| (0..qubits).map(move |q| digit(i, q) as f64))
            .map(|digit| (digit * TAU / 3.0) as f32)
            .collect();
        let mut values = vec![0.0; size * classes];
        let expectations = batch.run(&angles);
        let rows = values.chunks_exact_mut(classes);
        rows.zip(expectations.chunks_exact(batch.outputs())).for_each(|(row, e)| head(e, row));
        let mut coefficients = Self { qubits, classes, values };
        // Values at three angles to weights of 1, cosine and sine.
        let root = 3.0_f64.sqrt();
        let third = 1.0 / 3.0;
        for q in 0..qubits {
            coefficients.along(
                q,
                &[
                    [third, third, third],
                    [2.0 * third, -third, -third],
                    [0.0, root * third, -root * third],
                ],
            );
        }
        coefficients
    }

    /// Monomials.
    pub fn len(&self) -> usize {
        self.values.len() / self.classes
    }

    /// Whether there are none: never.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Multiplies along qubit `q` by a matrix: `new[i] = sum_j matrix[i][j] old[j]`.
    pub fn along(&mut self, q: usize, matrix: &[[f64; 3]; 3]) {
        let step = 3_usize.pow(q as u32) * self.classes;
        for block in self.values.chunks_exact_mut(3 * step) {
            let (zero, rest) = block.split_at_mut(step);
            let (one, two) = rest.split_at_mut(step);
            for ((a, b), c) in zero.iter_mut().zip(one).zip(two) {
                let old = [*a, *b, *c];
                let new = matrix.map(|row| row[0] * old[0] + row[1] * old[1] + row[2] * old[2]);
                [*a, *b, *c] = new;
            }
        }
    }

    /// The row of a monomial: one number a class.
    pub fn row(&self, monomial: usize) -> &[f64] {
        &self.values[monomial * self.classes..][..self.classes]
    }
}

/// The digit of qubit `q` in a monomial: 0 for 1, 1 for cosine, 2 for sine.
pub fn digit(monomial: usize, q: usize) -> usize {
    monomial / 3_usize.pow(q as u32) % 3
}

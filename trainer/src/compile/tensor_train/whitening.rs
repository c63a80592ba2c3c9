//! Coefficients by functions of each angle that are uncorrelated and of equal size over texts.
//!
//! In them the sum of squares of what is dropped is its mean square over texts (as far as qubits are
//! independent), so a truncation by singular values drops what matters least there.

use super::chain::{Chain, Mode};
use crate::compile::agreement::{Circles, circles};
use crate::compile::coefficients::Coefficients;
use nalgebra::{Matrix3, Vector3};
use qdllm_runtime::QUBITS;

/// Triangles for angles evenly all round the circle.
pub fn evenly() -> [Matrix3<f64>; QUBITS] {
    let half = 0.5_f64.sqrt();
    [Matrix3::from_diagonal(&Vector3::new(1.0, half, half)); QUBITS]
}

/// Coefficients by three uncorrelated functions of each angle.
pub struct Weighted {
    pub tensor: Coefficients,
    /// The functions are the inverse of this lower triangle times (1, cosine, sine).
    inverses: [Matrix3<f64>; QUBITS],
    /// Root of the mean square of the logits, summed over them.
    pub size: f64,
}

impl Weighted {
    /// Turns coefficients by (1, cosine, sine) into those by functions with the given triangles.
    pub fn new(mut tensor: Coefficients, bases: [Matrix3<f64>; QUBITS]) -> Self {
        for (q, basis) in bases.iter().enumerate().take(tensor.qubits) {
            let turned = basis.transpose();
            tensor.along(q, &std::array::from_fn(|i| std::array::from_fn(|j| turned[(i, j)])));
        }
        let size = tensor.values.iter().map(|x| x * x).sum::<f64>().sqrt();
        // A triangle without zeros on its diagonal has an inverse.
        let inverses = bases.map(|b| b.try_inverse().unwrap_or_else(Matrix3::identity));
        Self { tensor, inverses, size }
    }

    pub fn features(&self, angles: &[f32; QUBITS]) -> Circles {
        let circles = circles(angles);
        std::array::from_fn(|q| {
            let turned = self.inverses[q] * Vector3::from(circles[q]);
            [turned[0], turned[1], turned[2]]
        })
    }

    /// A chain of these functions as one of (1, cosine, sine).
    ///
    /// Every core but the leg's is made orthonormal before, so that its rows are independent.
    pub fn plain(&self, mut chain: Chain) -> Chain {
        chain.centre_at_leg();
        for core in &mut chain.cores {
            let Mode::Qubit(q) = core.mode else { continue };
            let right = core.right;
            for block in core.data.chunks_exact_mut(3 * right) {
                for b in 0..right {
                    let old = Vector3::new(block[b], block[right + b], block[2 * right + b]);
                    let new = self.inverses[q].transpose() * old;
                    (block[b], block[right + b], block[2 * right + b]) = (new[0], new[1], new[2]);
                }
            }
        }
        chain
    }
}

/// Triangles `L` with `L L^T` the second moments of (1, cosine, sine) on texts, mixed with a little of
/// those of angles all round the circle, so that no direction is left out.
pub fn bases(angles: &[[f32; QUBITS]]) -> [Matrix3<f64>; QUBITS] {
    let all: Vec<Circles> = angles.iter().map(circles).collect();
    std::array::from_fn(|q| {
        let sum: Matrix3<f64> =
            all.iter().map(|c| Vector3::from(c[q])).map(|v| v * v.transpose()).sum();
        let round = Matrix3::from_diagonal(&Vector3::new(1.0, 0.5, 0.5));
        let moments = sum / angles.len() as f64 * 0.99 + round * 0.01;
        moments.cholesky().map_or_else(Matrix3::identity, |c| c.l())
    })
}

//! Multinomial logistic regression whose weights are a product of rows (one a column of the input) and a small head, by
//! L-BFGS on both at once.
//!
//! Minimises `sum(cross-entropy) + penalty / 2 * (|rows|^2 + |head|^2)` over all texts, the biases unpenalised. What the
//! penalty of two factors amounts to is the nuclear norm of their product (Srebro, Rennie and Jaakkola 2004), which
//! prefers few directions.

use crate::numeric::{add, softmax_in_place};
use crate::regression::lbfgs::{dot, largest, minimise};
use crate::regression::logistic::{Sparse, SparseRow};
use nalgebra::{DMatrix, SymmetricEigen};
use rayon::prelude::*;

/// Texts of one parallel piece of work; a fixed number, so that sums do not depend on threads.
const CHUNK: usize = 256;

/// Texts as rows of columns, and the same by column.
pub struct Matrix {
    pub rows: Vec<SparseRow>,
    by_column: Sparse,
}

impl Matrix {
    pub fn new(rows: Vec<SparseRow>, columns: usize) -> Self {
        let by_column = Sparse::new(&rows.iter().collect::<Vec<_>>(), columns);
        Self { rows, by_column }
    }
}

#[derive(Clone, Debug)]
pub struct LowRank {
    pub rank: usize,
    pub classes: usize,
    /// Column by column, `rank` numbers each.
    pub rows: Vec<f64>,
    /// `rank x classes`.
    pub head: Vec<f64>,
    pub bias: Vec<f64>,
}

impl LowRank {
    /// Rows and head along the directions in which the columns tell the classes apart: the leading singular vectors of
    /// the loss's slope at zero.
    pub fn start(x: &Matrix, targets: &[f32], classes: usize, rank: usize) -> Self {
        let texts = x.rows.len();
        let mut shares = vec![1e-9; classes];
        targets.chunks_exact(classes).for_each(|t| add32(&mut shares, t));
        shares.iter_mut().for_each(|s| *s /= texts as f64);
        let slopes: Vec<f64> = targets
            .chunks_exact(classes)
            .flat_map(|t| t.iter().zip(&shares).map(|(&t, s)| f64::from(t) - s))
            .collect();
        let slope = x.by_column.sums(&slopes, classes);
        let columns = slope.len() / classes;
        let matrix = DMatrix::from_row_slice(columns, classes, &slope);
        let eigen = SymmetricEigen::new(matrix.tr_mul(&matrix));
        let mut order: Vec<usize> = (0..classes).collect();
        order.sort_by(|&a, &b| eigen.eigenvalues[b].total_cmp(&eigen.eigenvalues[a]));
        let directions: Vec<_> = order.iter().map(|&i| eigen.eigenvectors.column(i)).collect();
        let directions = &directions[..rank];
        let mut rows = vec![0.0; columns * rank];
        for (row, slope) in rows.chunks_exact_mut(rank).zip(slope.chunks_exact(classes)) {
            for (x, direction) in row.iter_mut().zip(directions) {
                *x = direction.iter().zip(slope).map(|(d, s)| d * s).sum();
            }
        }
        let head = directions.iter().flat_map(|d| d.iter().copied()).collect();
        let bias = shares.iter().map(|s| s.ln()).collect();
        let mut this = Self { rank, classes, rows, head, bias };
        // Sums of a text's rows begin at a size of about 1.
        let sums = this.sums(x);
        let size = (sums.iter().map(|s| s * s).sum::<f64>() / texts as f64).sqrt().max(1e-9);
        this.rows.iter_mut().for_each(|x| *x /= size);
        this
    }

    /// The sums of each text's rows, `rank` numbers a text.
    pub fn sums(&self, x: &Matrix) -> Vec<f64> {
        let mut sums = vec![0.0; x.rows.len() * self.rank];
        let rank = self.rank;
        sums.par_chunks_mut(rank).enumerate().for_each(|(i, sum)| {
            for &(column, value) in &x.rows[i] {
                let row = &self.rows[column as usize * rank..];
                add(sum, f64::from(value), &row[..rank]);
            }
        });
        sums
    }

    pub fn logits(&self, sums: &[f64]) -> Vec<f64> {
        let mut z = self.bias.clone();
        for (head, &sum) in self.head.chunks_exact(self.classes).zip(sums) {
            add(&mut z, sum, head);
        }
        z
    }

    /// Fits to the texts' target distributions, `classes` numbers a text, from where it stands.
    pub fn fit(&mut self, x: &Matrix, targets: &[f32], penalty: f64, iterations: usize) {
        let (rank, classes) = (self.rank, self.classes);
        let (rows, head) = (self.rows.len(), self.head.len());
        let mut theta = [&self.rows[..], &self.head, &self.bias].concat();
        let share = 1.0 / x.rows.len() as f64;
        let mut this = self.clone();
        minimise(&mut theta, (1e-6, iterations), dot, |theta, gradient| {
            this.rows.copy_from_slice(&theta[..rows]);
            this.head.copy_from_slice(&theta[rows..rows + head]);
            this.bias.copy_from_slice(&theta[rows + head..]);
            let sums = this.sums(x);
            // Per chunk of texts: loss, slopes by sums, and the slope by head and bias.
            let chunk = |(sums, targets): (&[f64], &[f32])| {
                let (mut loss, mut by_sum) = (0.0, vec![0.0; sums.len()]);
                let mut by_head = vec![0.0; head + classes];
                for ((sum, target), by_sum) in sums
                    .chunks_exact(rank)
                    .zip(targets.chunks_exact(classes))
                    .zip(by_sum.chunks_exact_mut(rank))
                {
                    let mut z = this.logits(sum);
                    let own: f64 = z.iter().zip(target).map(|(z, &t)| z * f64::from(t)).sum();
                    let mass: f64 = target.iter().map(|&t| f64::from(t)).sum();
                    loss += softmax_in_place(&mut z, 1.0) * mass - own;
                    z.iter_mut()
                        .zip(target)
                        .for_each(|(z, &t)| *z = (*z * mass - f64::from(t)) * share);
                    let each =
                        this.head.chunks_exact(classes).zip(by_head.chunks_exact_mut(classes));
                    for ((head, by_head), (by_sum, &s)) in each.zip(by_sum.iter_mut().zip(sum)) {
                        *by_sum = head.iter().zip(&z).map(|(h, z)| h * z).sum();
                        add(by_head, s, &z);
                    }
                    add(&mut by_head[head..], 1.0, &z);
                }
                (loss, by_sum, by_head)
            };
            let parts: Vec<_> = sums
                .par_chunks(CHUNK * rank)
                .zip(targets.par_chunks(CHUNK * classes))
                .map(chunk)
                .collect();
            let (by_rows, by_rest) = gradient.split_at_mut(rows);
            by_rest.fill(0.0);
            let mut slopes = Vec::with_capacity(sums.len());
            let mut loss = 0.0;
            for (part, by_sum, by_head) in parts {
                loss += part;
                slopes.extend(by_sum);
                add(by_rest, 1.0, &by_head);
            }
            by_rows.copy_from_slice(&x.by_column.sums(&slopes, rank));
            let weights = &theta[..rows + head];
            gradient.iter_mut().zip(weights).for_each(|(g, w)| *g += penalty * share * w);
            let square: f64 = weights.iter().map(|w| w * w).sum();
            (share * (loss + 0.5 * penalty * square), largest(gradient))
        });
        self.rows.copy_from_slice(&theta[..rows]);
        self.head.copy_from_slice(&theta[rows..rows + head]);
        self.bias.copy_from_slice(&theta[rows + head..]);
    }

    /// How far each column moves the logits apart: the length of its row through the head, around the mean of the
    /// classes.
    pub fn lengths(&self) -> Vec<f64> {
        let centred: Vec<f64> = self
            .head
            .chunks_exact(self.classes)
            .flat_map(|head| {
                let mean = head.iter().sum::<f64>() / self.classes as f64;
                head.iter().map(move |h| h - mean)
            })
            .collect();
        let length = |row: &[f64]| {
            let mut z = vec![0.0; self.classes];
            centred.chunks_exact(self.classes).zip(row).for_each(|(head, &x)| add(&mut z, x, head));
            z.iter().map(|z| z * z).sum::<f64>().sqrt()
        };
        self.rows.par_chunks(self.rank).map(length).collect()
    }
}

/// The regression's head on what the table gives.
#[derive(Clone, Debug)]
pub struct LinearHead {
    /// `rank x classes`.
    pub weights: Vec<f32>,
    pub bias: Vec<f32>,
}

impl LinearHead {
    pub fn logits(&self, sums: &[f32]) -> Vec<f32> {
        let mut z = self.bias.clone();
        let rows = self.weights.chunks_exact(z.len());
        sums.iter().zip(rows).for_each(|(&sum, row)| add(&mut z, sum, row));
        z
    }

    /// The same for inputs less their mean, over their deviation.
    pub fn standardised(&self, scale: &[(f32, f32)]) -> Self {
        let means: Vec<f32> = scale.iter().map(|(mean, _)| *mean).collect();
        let rows = self.weights.chunks_exact(self.bias.len()).zip(scale);
        let weights = rows.flat_map(|(row, (_, deviation))| row.iter().map(move |w| w * deviation));
        Self { weights: weights.collect(), bias: self.logits(&means) }
    }
}

fn add32(sum: &mut [f64], x: &[f32]) {
    sum.iter_mut().zip(x).for_each(|(s, &x)| *s += f64::from(x));
}

//! Logistic regression with an L2 penalty, by L-BFGS in f64: of the TF-IDF control and teacher, and of the probes.
//!
//! Minimises `share * sum(weight * cross-entropy) + penalty / 2 * |W|^2`, the intercepts unpenalised. With one output
//! two classes share its weights (sigmoid); otherwise each class has its own (softmax). Rows are worked on in parallel,
//! but every sum has one fixed order, so the number of threads does not change a bit of the result.
//!
//! Rows are sparse ones of n-grams or dense ones of hidden states. Parameters are weights and behind them one intercept an
//! output. The weights lie as each kind of row reads them best: column by column for sparse rows, output by output for
//! dense ones.
//!
//! Sparse rows have many times more columns than there are rows. At the minimum, and at every step towards it, the weights
//! are sums of rows, so the search goes over the rows' shares in them: the same steps, in vectors as long as the rows are
//! many.

use super::lbfgs::{dot, largest, minimise};
use crate::numeric::{Ragged, add, log_sum_exp, softmax_in_place};
use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

#[derive(Debug, Clone, Copy)]
pub struct Objective {
    pub share: f64,
    pub penalty: f64,
    /// Largest component of the gradient at which the minimum counts as found.
    pub tolerance: f64,
    pub iterations: usize,
}

/// A classifier: the weights of its outputs, and behind them the intercepts.
#[derive(Debug, Clone, PartialEq)]
pub struct Logistic {
    outputs: usize,
    parameters: Vec<f64>,
}

impl Logistic {
    /// All parameters zero: every class equally likely.
    pub fn zero(outputs: usize, columns: usize) -> Self {
        Self { outputs, parameters: vec![0.0; outputs * (columns + 1)] }
    }

    /// Fits dense rows to their classes and weights, starting from the present parameters (a warm start along a path of
    /// penalties); returns the largest component of the gradient at the end.
    pub fn fit(&mut self, x: &Dense, rows: (&[usize], &[f64]), objective: Objective) -> f64 {
        let k = self.outputs;
        let Objective { tolerance, iterations, .. } = objective;
        minimise(&mut self.parameters, (tolerance, iterations), dot, |parameters, gradient| {
            at(x, rows, objective, k, parameters, gradient)
        })
    }

    /// Fits sparse rows to their classes and weights; with the largest component of the gradient at the end.
    pub fn of_sparse(
        x: &Sparse,
        rows: (&[usize], &[f64]),
        k: usize,
        objective: Objective,
    ) -> (Self, f64) {
        let Objective { penalty, tolerance, iterations, .. } = objective;
        // The rows' shares in the weights, the outputs of every row without intercepts, the intercepts.
        let n = x.rows * k;
        let mut state = vec![0.0; 2 * n + k];
        let product =
            |a: &[f64], b: &[f64]| dot(&a[..n], &b[n..2 * n]) + dot(&a[2 * n..], &b[2 * n..]);
        let end = minimise(&mut state, (tolerance, iterations), product, |state, gradient| {
            let (shares, outputs, intercepts) = (&state[..n], &state[n..2 * n], &state[2 * n..]);
            let (by_share, rest) = gradient.split_at_mut(n);
            let (by_output, by_intercept) = rest.split_at_mut(n);
            let loss = slopes(by_share, k, rows, objective.share, |i, z| {
                let both = outputs[i * k..].iter().zip(intercepts);
                z.iter_mut().zip(both).for_each(|(z, (output, intercept))| *z = output + intercept);
            });
            by_intercept.fill(0.0);
            by_share.chunks(k).for_each(|slopes| add(by_intercept, 1.0, slopes));
            add(by_share, penalty, shares);
            let steepest = x.outputs(by_share, k, by_output).max(largest(by_intercept));
            (loss + 0.5 * penalty * dot(shares, outputs), steepest)
        });
        let mut parameters = x.sums(&state[..n], k);
        parameters.extend_from_slice(&state[2 * n..]);
        (Self { outputs: k, parameters }, end)
    }

    /// Every parameter rounded to f32, as a file would hold it.
    pub fn rounded(mut self) -> Self {
        self.parameters.iter_mut().for_each(|w| *w = f64::from(*w as f32));
        self
    }

    fn outputs_of(&self, row: &(impl Row + ?Sized)) -> Vec<f64> {
        let mut z = vec![0.0; self.outputs];
        row.outputs(&self.parameters, &mut z);
        z
    }

    pub fn probabilities(&self, row: &(impl Row + ?Sized)) -> Vec<f32> {
        let mut z = self.outputs_of(row);
        if let [z] = z[..] {
            let one = sigmoid(z);
            return vec![(1.0 - one) as f32, one as f32];
        }
        softmax_in_place(&mut z, 1.0);
        z.into_iter().map(|p| p as f32).collect()
    }

    /// Log-probabilities of one row, where every class has its own output.
    pub fn log_probabilities(&self, row: &(impl Row + ?Sized)) -> Vec<f64> {
        let mut z = self.outputs_of(row);
        let normaliser = log_sum_exp(&z);
        z.iter_mut().for_each(|z| *z -= normaliser);
        z
    }

    /// The weights, without intercepts.
    pub fn weights(&self) -> &[f64] {
        &self.parameters[..self.parameters.len() - self.outputs]
    }

    pub fn parameters(&self) -> usize {
        self.parameters.len()
    }
}

fn at(
    x: &Dense,
    rows: (&[usize], &[f64]),
    Objective { share, penalty, .. }: Objective,
    k: usize,
    parameters: &[f64],
    gradient: &mut [f64],
) -> (f64, f64) {
    let mut by_output = vec![0.0; x.rows() * k];
    let loss = slopes(&mut by_output, k, rows, share, |i, z| x.row(i).outputs(parameters, z));
    let weights = &parameters[..parameters.len() - k];
    let (by_weight, by_intercept) = gradient.split_at_mut(weights.len());
    by_weight.iter_mut().zip(weights).for_each(|(g, w)| *g = penalty * w);
    x.add_gradient(&by_output, k, by_weight);
    by_intercept.fill(0.0);
    by_output.chunks(k).for_each(|slopes| add(by_intercept, 1.0, slopes));
    let square: f64 = weights.iter().map(|w| w * w).sum();
    (loss + 0.5 * penalty * square, largest(gradient))
}

/// Sets `z`, rows x `k`, to the loss's slopes against the outputs that `outputs` writes for a row; returns the loss.
fn slopes(
    z: &mut [f64],
    k: usize,
    (truth, weights): (&[usize], &[f64]),
    share: f64,
    outputs: impl Fn(usize, &mut [f64]) + Sync,
) -> f64 {
    let mut losses = vec![0.0; truth.len()];
    z.par_chunks_mut(k).zip(&mut losses).enumerate().for_each(|(i, (z, loss))| {
        outputs(i, z);
        *loss = weights[i] * loss_and_slope(z, truth[i]);
        z.iter_mut().for_each(|z| *z *= weights[i] * share);
    });
    share * losses.iter().sum::<f64>()
}

/// Turns outputs into the loss's slope against them, returns the loss.
fn loss_and_slope(z: &mut [f64], truth: usize) -> f64 {
    if let [z] = z {
        // log(1 + e^z) - truth z, without overflow.
        let y = if truth == 1 { 1.0 } else { 0.0 };
        let loss = z.max(0.0) + (-z.abs()).exp().ln_1p() - y * *z;
        *z = sigmoid(*z) - y;
        loss
    } else {
        let own = z[truth];
        let log_sum = softmax_in_place(z, 1.0);
        z[truth] -= 1.0;
        log_sum - own
    }
}

fn sigmoid(z: f64) -> f64 {
    1.0 / (1.0 + (-z).exp())
}

/// Dense rows of one parallel piece of work.
const ROWS_A_CHUNK: usize = 256;

pub type SparseRow = Vec<(u32, f32)>;

pub trait Row {
    /// Sets `z` to intercepts plus weights times the row.
    fn outputs(&self, parameters: &[f64], z: &mut [f64]);
}

impl Row for [(u32, f32)] {
    fn outputs(&self, parameters: &[f64], z: &mut [f64]) {
        let k = z.len();
        let (weights, intercepts) = parameters.split_at(parameters.len() - k);
        z.copy_from_slice(intercepts);
        for &(column, value) in self {
            let start = column as usize * k;
            for (z, w) in z.iter_mut().zip(&weights[start..start + k]) {
                *z += f64::from(value) * w;
            }
        }
    }
}

impl Row for [f64] {
    fn outputs(&self, parameters: &[f64], z: &mut [f64]) {
        let (weights, intercepts) = parameters.split_at(parameters.len() - z.len());
        for (i, z) in z.iter_mut().enumerate() {
            let w = &weights[i * self.len()..(i + 1) * self.len()];
            // Four running sums, added in a fixed order: quicker than one chain and still deterministic.
            let mut sums = [0.0; 4];
            let (head, tail) = self.split_at(self.len() & !3);
            for (x, w) in head.chunks_exact(4).zip(w.chunks_exact(4)) {
                for k in 0..4 {
                    sums[k] += x[k] * w[k];
                }
            }
            let rest: f64 = tail.iter().zip(&w[head.len()..]).map(|(x, w)| x * w).sum();
            *z = (sums[0] + sums[1]) + (sums[2] + sums[3]) + rest + intercepts[i];
        }
    }
}

/// Pieces of parallel work on the columns; a fixed number, so that results do not depend on threads.
const PIECES: usize = 8;

/// `(row, value)` pairs by column, in order of the rows.
pub struct Sparse {
    rows: usize,
    by_column: Ragged<(u32, f32)>,
}

impl Sparse {
    /// Joins rows; every column must be below `width`.
    pub fn new(rows: &[&SparseRow], width: usize) -> Self {
        let mut counts = vec![0; width];
        rows.iter().copied().flatten().for_each(|&(column, _)| counts[column as usize] += 1);
        let mut by_column = Ragged::default();
        counts.iter().for_each(|&count| by_column.push(vec![(0, 0.0); count]));
        let mut next: Vec<usize> = (0..width).map(|j| by_column.range(j).start).collect();
        for (i, row) in rows.iter().enumerate() {
            for &(column, value) in *row {
                let place = &mut next[column as usize];
                by_column.values[*place] = (i as u32, value);
                *place += 1;
            }
        }
        Self { rows: rows.len(), by_column }
    }

    /// Adds a column's weights, one an output, to `w`: every row times its shares, which are rows x outputs.
    fn weights(&self, column: usize, shares: &[f64], w: &mut [f64]) {
        for &(row, value) in self.by_column.row(column) {
            add(w, f64::from(value), &shares[row as usize * w.len()..][..w.len()]);
        }
    }

    /// What weights, given by the rows' shares, say of each row; returns the largest weight. A few outputs at a time, so
    /// that what is read and written of all rows stays near the processor.
    fn outputs(&self, shares: &[f64], k: usize, outputs: &mut [f64]) -> f64 {
        match k {
            1 => self.by_blocks::<1>(shares, k, outputs),
            2..=4 => self.by_blocks::<4>(shares, k, outputs),
            _ => self.by_blocks::<16>(shares, k, outputs),
        }
    }

    fn by_blocks<const W: usize>(&self, shares: &[f64], k: usize, outputs: &mut [f64]) -> f64 {
        let mut most = 0.0_f32;
        for start in (0..k).step_by(W) {
            let width = start..k.min(start + W);
            let mut block = vec![[0.0; W]; self.rows];
            for (to, from) in block.iter_mut().zip(shares.chunks(k)) {
                to.iter_mut().zip(&from[width.clone()]).for_each(|(to, from)| *to = *from as f32);
            }
            let (sparse, shares) = (self, &block[..]);
            let piece = |piece| Arch::new().dispatch(Piece { sparse, piece, shares });
            let parts: Vec<_> = (0..PIECES).into_par_iter().map(piece).collect();
            for (i, to) in outputs.chunks_mut(k).enumerate() {
                for (c, to) in to[width.clone()].iter_mut().enumerate() {
                    *to = parts.iter().map(|(sums, _)| f64::from(sums[i][c])).sum();
                }
            }
            most = parts.iter().fold(most, |most, part| most.max(part.1));
        }
        f64::from(most)
    }

    /// Every row times its shares, which are rows x `k`: `k` numbers a column.
    pub fn sums(&self, shares: &[f64], k: usize) -> Vec<f64> {
        let mut sums = vec![0.0; self.by_column.rows() * k];
        sums.par_chunks_mut(k).enumerate().for_each(|(j, w)| self.weights(j, shares, w));
        sums
    }
}

/// A piece of the columns, and the rows' shares in the weights of `W` outputs.
struct Piece<'a, const W: usize> {
    sparse: &'a Sparse,
    piece: usize,
    shares: &'a [[f32; W]],
}

impl<const W: usize> WithSimd for Piece<'_, W> {
    type Output = (Vec<[f32; W]>, f32);

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> Self::Output {
        let columns = &self.sparse.by_column;
        let (mut sums, mut most) = (vec![[0.0; W]; self.shares.len()], 0.0_f32);
        let ends = [self.piece, self.piece + 1].map(|piece| piece * columns.rows() / PIECES);
        for column in ends[0]..ends[1] {
            let mut weights = [0.0; W];
            for &(row, value) in columns.row(column) {
                let shares = &self.shares[row as usize];
                (0..W).for_each(|c| weights[c] += value * shares[c]);
            }
            most = weights.iter().fold(most, |most, weight| most.max(weight.abs()));
            for &(row, value) in columns.row(column) {
                let sums = &mut sums[row as usize];
                (0..W).for_each(|c| sums[c] += value * weights[c]);
            }
        }
        (sums, most)
    }
}

#[derive(Debug, Clone, PartialEq, Default)]
pub struct Dense {
    pub columns: usize,
    pub values: Vec<f64>,
}

impl Dense {
    pub fn select(&self, rows: &[usize]) -> Self {
        let values = rows.iter().flat_map(|&i| self.row(i)).copied().collect();
        Self { columns: self.columns, values }
    }

    pub fn rows(&self) -> usize {
        self.values.len().checked_div(self.columns).unwrap_or(0)
    }

    pub fn row(&self, i: usize) -> &[f64] {
        &self.values[i * self.columns..(i + 1) * self.columns]
    }

    /// Adds to the weights' `gradient` every row times its `slopes`, which are rows x `outputs`; in one fixed order.
    fn add_gradient(&self, slopes: &[f64], outputs: usize, gradient: &mut [f64]) {
        let chunk = |(rows, slopes): (&[f64], &[f64])| {
            let mut sum = vec![0.0; gradient.len()];
            for (row, slopes) in rows.chunks_exact(self.columns).zip(slopes.chunks_exact(outputs)) {
                let sums = sum.chunks_exact_mut(self.columns).zip(slopes);
                sums.for_each(|(sum, &slope)| add(sum, slope, row));
            }
            sum
        };
        let sums: Vec<Vec<f64>> = self
            .values
            .par_chunks(ROWS_A_CHUNK * self.columns.max(1))
            .zip(slopes.par_chunks(ROWS_A_CHUNK * outputs))
            .map(chunk)
            .collect();
        sums.iter().for_each(|sum| add(gradient, 1.0, sum));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn by_c(c: f64, n: usize) -> Objective {
        let share = 1.0 / n as f64;
        Objective { share, penalty: 1.0 / (c * n as f64), tolerance: 1e-9, iterations: 500 }
    }

    #[test]
    fn two_classes_meet_the_closed_condition() {
        // Rows +1 and -1 of opposite classes: the intercept is 0, and the weight solves
        // sigmoid(-w) = w / (C n).
        let rows = Sparse::new(&[&vec![(0, 1.0)], &vec![(0, -1.0)]], 1);
        for c in [0.5, 1.0, 10.0] {
            let (fitted, end) = Logistic::of_sparse(&rows, (&[1, 0], &[1.0; 2]), 1, by_c(c, 2));
            assert!(end <= 1e-9);
            let w = fitted.parameters[0];
            assert!((sigmoid(-w) - w / (2.0 * c)).abs() < 1e-6, "C {c}: w {w}");
            assert!(fitted.parameters[1].abs() < 1e-6);
            let p = fitted.probabilities(&[(0, 1.0)][..]);
            assert!((f64::from(p[1]) - sigmoid(w)).abs() < 1e-6);
        }
    }

    #[test]
    fn intercepts_alone_learn_the_class_shares() {
        let empty: &[(u32, f32)] = &[];
        let rows = Sparse::new(&[&Vec::new(); 8], 0);
        let fit = |truth: [usize; 8], outputs| {
            Logistic::of_sparse(&rows, (&truth, &[1.0; 8]), outputs, by_c(1.0, 8)).0
        };
        let fitted = fit([0, 0, 0, 0, 1, 1, 2, 2], 3);
        for (p, share) in fitted.probabilities(empty).iter().zip([0.5, 0.25, 0.25]) {
            assert!((p - share).abs() < 1e-6);
        }
        let fitted = fit([1, 1, 1, 0, 0, 1, 1, 1], 1);
        assert!((fitted.probabilities(empty)[1] - 0.75).abs() < 1e-6);
    }

    /// The difference quotient of every parameter beside the gradient.
    fn check_gradient(x: &Dense, truth: &[usize], outputs: usize) {
        let (length, objective) = (3 * outputs, by_c(0.7, 3));
        let weights = [1.0, 0.5, 2.0];
        let at = |p: &[f64], g: &mut [f64]| at(x, (truth, &weights), objective, outputs, p, g).0;
        let p: Vec<f64> = (0..length).map(|i| (i as f64 * 1.7).sin()).collect();
        let (mut gradient, mut unused) = (vec![0.0; length], vec![0.0; length]);
        at(&p, &mut gradient);
        for i in 0..length {
            let mut value = |d: f64| {
                let mut p = p.clone();
                p[i] += d;
                at(&p, &mut unused)
            };
            let slope = (value(1e-5) - value(-1e-5)) / 2e-5;
            assert!((slope - gradient[i]).abs() < 1e-9, "parameter {i}");
        }
    }

    #[test]
    fn gradient_is_the_slope_of_the_value() {
        let dense = Dense { columns: 2, values: vec![0.5, 1.0, 0.0, -0.3, 2.0, 0.0] };
        for (outputs, truth) in [(1, [0, 1, 1]), (3, [0, 2, 1])] {
            check_gradient(&dense, &truth, outputs);
        }
    }

    #[test]
    fn sparse_rows_meet_the_minimum_of_dense_ones() {
        let rows = [vec![(0, 0.5), (1, 1.0)], vec![(1, -0.3)], vec![(0, 2.0), (3, 1.0)]];
        let sparse = Sparse::new(&rows.each_ref(), 4);
        let values =
            vec![0.5, 1.0, 0.0, 0.0, 0.0, f64::from(-0.3_f32), 0.0, 0.0, 2.0, 0.0, 0.0, 1.0];
        let dense = Dense { columns: 4, values };
        for (outputs, truth) in [(1, [0, 1, 1]), (3, [0, 2, 1])] {
            let rows = (&truth[..], &[1.0, 0.5, 2.0][..]);
            let (fitted, end) = Logistic::of_sparse(&sparse, rows, outputs, by_c(0.7, 3));
            let mut other = Logistic::zero(outputs, 4);
            assert!(end <= 1e-9 && other.fit(&dense, rows, by_c(0.7, 3)) <= 1e-9);
            for output in 0..outputs {
                for column in 0..4 {
                    let (a, b) = (column * outputs + output, output * 4 + column);
                    assert!((fitted.parameters[a] - other.parameters[b]).abs() < 1e-7);
                }
                let intercept = 4 * outputs + output;
                assert!((fitted.parameters[intercept] - other.parameters[intercept]).abs() < 1e-7);
            }
        }
    }

    /// Three clouds in the plane with overlap, from a small linear congruential generator.
    fn clouds(n: usize) -> (Dense, Vec<usize>) {
        let mut state = 1u64;
        let mut next = || {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (state >> 40) as f64 / (1u64 << 24) as f64 - 0.5
        };
        let centres = [(0.0, 1.0), (1.0, 0.0), (-1.0, -0.5)];
        let labels: Vec<usize> = (0..n).map(|i| i % 3).collect();
        let values = labels
            .iter()
            .flat_map(|&c| [centres[c].0 + 1.6 * next(), centres[c].1 + 1.6 * next()])
            .collect();
        (Dense { columns: 2, values }, labels)
    }

    fn probe(x: &Dense, labels: &[usize], weights: &[f64], penalty: f64) -> (Logistic, f64) {
        let mut model = Logistic::zero(3, 2);
        let share = 1.0 / weights.iter().sum::<f64>();
        let objective = Objective { share, penalty, tolerance: 1e-5, iterations: 300 };
        let end = model.fit(x, (labels, weights), objective);
        (model, end)
    }

    #[test]
    fn gradient_vanishes_at_the_fit() {
        let (x, labels) = clouds(600);
        let (model, end) = probe(&x, &labels, &[1.0; 600], 1e-2);
        assert!(end <= 1e-5, "{end:e}");
        // At the minimum of the penalised loss, weights = mean of (target - p) x / penalty, class by class.
        for class in 0..3 {
            let mut sums = [0.0; 2];
            for (i, &label) in labels.iter().enumerate() {
                let p = model.log_probabilities(x.row(i))[class].exp();
                let error = f64::from(u8::from(label == class)) - p;
                sums.iter_mut().zip(x.row(i)).for_each(|(s, x)| *s += error * x / 600.0);
            }
            for (k, sum) in sums.iter().enumerate() {
                let weight = model.parameters[class * 2 + k];
                let wanted = sum / 1e-2;
                assert!((weight - wanted).abs() < 2e-3, "class {class}: {weight} against {wanted}");
            }
        }
    }

    #[test]
    fn recovers_the_clouds_and_is_deterministic() {
        let (x, labels) = clouds(900);
        let fit = || probe(&x, &labels, &[1.0; 900], 1e-3).0;
        let model = fit();
        let right = (0..900)
            .filter(|&i| {
                let p = model.log_probabilities(x.row(i));
                assert!(log_sum_exp(&p).abs() < 1e-12);
                (0..3).all(|c| p[c] <= p[labels[i]])
            })
            .count();
        assert!(right > 780, "{right} of 900");
        assert_eq!(model, fit());
    }

    #[test]
    fn a_row_of_weight_two_counts_as_two_rows() {
        let (x, labels) = clouds(30);
        let twice: Vec<usize> = (0..30).chain([4, 7]).collect();
        let own: Vec<usize> = twice.iter().map(|&i| labels[i]).collect();
        let doubled = probe(&x.select(&twice), &own, &[1.0; 32], 0.1).0;
        let mut weights = [1.0; 30];
        (weights[4], weights[7]) = (2.0, 2.0);
        let weighted = probe(&x, &labels, &weights, 0.1).0;
        for i in 0..30 {
            let (a, b) =
                (doubled.log_probabilities(x.row(i)), weighted.log_probabilities(x.row(i)));
            for (a, b) in a.iter().zip(b) {
                assert!((a - b).abs() < 1e-3, "{a} {b}");
            }
        }
    }

    #[test]
    fn transposing_swaps_rows_and_columns() {
        let rows = [vec![(0, 1.0), (2, 2.0)], vec![], vec![(2, 3.0)]];
        let matrix = Sparse::new(&rows.each_ref(), 4);
        assert_eq!((matrix.rows, matrix.by_column.rows()), (3, 4));
        let columns = &matrix.by_column;
        assert_eq!(columns.row(0), [(0, 1.0)]);
        assert_eq!(columns.row(1), []);
        assert_eq!(columns.row(2), [(0, 2.0), (2, 3.0)]);
        assert_eq!(columns.row(3), []);
    }
}

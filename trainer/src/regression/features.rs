//! Rows of features for a regression: sparse ones of n-grams, dense ones of hidden states.
//!
//! Parameters are weights and behind them one intercept an output. The weights lie as each kind of row reads them best:
//! column by column for sparse rows, output by output for dense ones.

use crate::numeric::Ragged;
use rayon::prelude::*;

/// Dense rows of one parallel piece of work.
const ROWS_A_CHUNK: usize = 256;

pub type SparseRow = Vec<(u32, f32)>;

pub trait Row {
    /// Sets `z` to intercepts plus weights times the row.
    fn outputs(&self, parameters: &[f64], z: &mut [f64]);
}

/// The rows that a regression is fitted to. Sums have one fixed order, whatever the number of threads.
pub trait Features: Sync {
    type Row: Row + ?Sized;
    fn rows(&self) -> usize;
    fn row(&self, i: usize) -> &Self::Row;
    /// Adds to the weights' `gradient` every row times its `slopes`, which are rows x `outputs`.
    fn add_gradient(&self, slopes: &[f64], outputs: usize, gradient: &mut [f64]);
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

/// `(column, value)` pairs by row, and `(row, value)` pairs by column, in order of the rows.
pub struct Sparse {
    by_row: Ragged<(u32, f32)>,
    by_column: Ragged<(u32, f32)>,
}

impl Sparse {
    /// Joins rows; every column must be below `width`.
    pub fn new<'a>(rows: impl Iterator<Item = &'a SparseRow>, width: usize) -> Self {
        let mut by_row = Ragged::default();
        rows.for_each(|row| by_row.push(row.iter().copied()));
        let mut counts = vec![0; width];
        by_row.values.iter().for_each(|&(column, _)| counts[column as usize] += 1);
        let mut by_column = Ragged::default();
        counts.iter().for_each(|&count| by_column.push(vec![(0, 0.0); count]));
        let mut next: Vec<usize> = (0..width).map(|j| by_column.range(j).start).collect();
        for i in 0..by_row.rows() {
            for &(column, value) in by_row.row(i) {
                let place = &mut next[column as usize];
                by_column.values[*place] = (i as u32, value);
                *place += 1;
            }
        }
        Self { by_row, by_column }
    }
}

impl Features for Sparse {
    type Row = [(u32, f32)];

    fn rows(&self) -> usize {
        self.by_row.rows()
    }

    fn row(&self, i: usize) -> &[(u32, f32)] {
        self.by_row.row(i)
    }

    fn add_gradient(&self, slopes: &[f64], outputs: usize, gradient: &mut [f64]) {
        gradient.par_chunks_mut(outputs).enumerate().for_each(|(column, g)| {
            for &(row, value) in self.by_column.row(column) {
                let start = row as usize * outputs;
                for (g, slope) in g.iter_mut().zip(&slopes[start..start + outputs]) {
                    *g += f64::from(value) * slope;
                }
            }
        });
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
}

impl Features for Dense {
    type Row = [f64];

    fn rows(&self) -> usize {
        self.values.len().checked_div(self.columns).unwrap_or(0)
    }

    fn row(&self, i: usize) -> &[f64] {
        &self.values[i * self.columns..(i + 1) * self.columns]
    }

    fn add_gradient(&self, slopes: &[f64], outputs: usize, gradient: &mut [f64]) {
        let chunk = |(rows, slopes): (&[f64], &[f64])| {
            let mut sum = vec![0.0; gradient.len()];
            for (row, slopes) in rows.chunks_exact(self.columns).zip(slopes.chunks_exact(outputs)) {
                for (sum, slope) in sum.chunks_exact_mut(self.columns).zip(slopes) {
                    sum.iter_mut().zip(row).for_each(|(s, x)| *s += slope * x);
                }
            }
            sum
        };
        let sums: Vec<Vec<f64>> = self
            .values
            .par_chunks(ROWS_A_CHUNK * self.columns.max(1))
            .zip(slopes.par_chunks(ROWS_A_CHUNK * outputs))
            .map(chunk)
            .collect();
        for sum in sums {
            gradient.iter_mut().zip(sum).for_each(|(g, s)| *g += s);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transposing_swaps_rows_and_columns() {
        let rows = [vec![(0, 1.0), (2, 2.0)], vec![], vec![(2, 3.0)]];
        let matrix = Sparse::new(rows.iter(), 4);
        assert_eq!((matrix.rows(), matrix.by_column.rows()), (3, 4));
        let columns = &matrix.by_column;
        assert_eq!(columns.row(0), [(0, 1.0)]);
        assert_eq!(columns.row(1), []);
        assert_eq!(columns.row(2), [(0, 2.0), (2, 3.0)]);
        assert_eq!(columns.row(3), []);
    }
}

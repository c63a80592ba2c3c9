//! A matrix's rows turned until they are orthogonal: its singular values, by one-sided Jacobi.
//!
//! The turns are applied to the matrix and kept beside it, so that basis times rows is the matrix to
//! rounding whatever happens, and what is lost with a row is its length. nalgebra 0.34 has no such
//! decomposition to offer: its `svd` and `symmetric_eigen` return, for about one matrix in thousands,
//! factors that differ from the matrix in the third digit (a coupling just above its cut-off meets two
//! near-equal values; its issue 1109 tells of such a case).

use nalgebra::{DMatrix, DVector};

/// Rows count as orthogonal where their cosine is under this.
const ORTHOGONAL: f64 = 1e-14;
/// Rows of this share of the matrix are rounding, and are not turned.
const NOTHING: f64 = 1e-16;
/// Sweeps over all pairs at most; eight are usual.
const SWEEPS: usize = 40;

/// Orthonormal columns and orthogonal rows, whose product is the matrix.
pub struct Singular {
    /// Orthonormal columns, as many as the matrix has rows or columns, whichever are fewer.
    pub basis: DMatrix<f64>,
    /// Lengths of `rows`, falling: the singular values.
    pub values: DVector<f64>,
    /// What stands after the basis.
    pub rows: DMatrix<f64>,
}

impl Singular {
    /// Decomposes a matrix.
    pub fn new(matrix: &DMatrix<f64>) -> Self {
        if matrix.nrows() <= matrix.ncols() {
            return Self::turned(None, matrix.transpose());
        }
        let qr = matrix.clone().qr();
        Self::turned(Some(qr.q()), qr.r().transpose())
    }

    /// Of `before` times the transpose of `columns`.
    fn turned(before: Option<DMatrix<f64>>, mut columns: DMatrix<f64>) -> Self {
        let count = columns.ncols();
        let mut turns = DMatrix::identity(count, count);
        let nothing = columns.norm_squared() * NOTHING * NOTHING;
        for _ in 0..SWEEPS {
            if !sweep(&mut columns, &mut turns, nothing) {
                break;
            }
        }
        let lengths: Vec<f64> = columns.column_iter().map(|column| column.norm()).collect();
        let mut order: Vec<usize> = (0..count).collect();
        order.sort_by(|&a, &b| lengths[b].total_cmp(&lengths[a]));
        let basis = turns.select_columns(&order);
        Self {
            basis: before.map_or_else(|| basis.clone(), |before| before * &basis),
            values: DVector::from_iterator(count, order.iter().map(|&i| lengths[i])),
            rows: columns.select_columns(&order).transpose(),
        }
    }
}

/// Turns every pair of columns until both are orthogonal; says whether any was turned.
fn sweep(columns: &mut DMatrix<f64>, turns: &mut DMatrix<f64>, nothing: f64) -> bool {
    let mut turned = false;
    for j in 1..columns.ncols() {
        for i in 0..j {
            let (one, two) = (columns.column(i), columns.column(j));
            let (a, b, both) = (one.norm_squared(), two.norm_squared(), one.dot(&two));
            if a.min(b) <= nothing || both.abs() <= ORTHOGONAL * (a * b).sqrt() {
                continue;
            }
            turned = true;
            // The smaller of the two angles with tan(2 angle) = 2 both / (a - b).
            let half = (b - a) / (2.0 * both);
            let tangent = half.signum() / (half.abs() + half.hypot(1.0));
            let cosine = 1.0 / tangent.hypot(1.0);
            turn(columns, i, j, cosine, tangent * cosine);
            turn(turns, i, j, cosine, tangent * cosine);
        }
    }
    turned
}

/// Columns `i` and `j` become `cosine i - sine j` and `sine i + cosine j`.
fn turn(matrix: &mut DMatrix<f64>, i: usize, j: usize, cosine: f64, sine: f64) {
    let rows = matrix.nrows();
    let (low, high) = matrix.as_mut_slice().split_at_mut(j * rows);
    for (x, y) in low[i * rows..][..rows].iter_mut().zip(&mut high[..rows]) {
        (*x, *y) = (cosine * *x - sine * *y, sine * *x + cosine * *y);
    }
}

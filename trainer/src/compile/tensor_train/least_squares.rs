//! What texts say about a train: functions of each angle in which a truncation drops what matters least on them, and
//! cores fitted to them by alternating least squares.
//!
//! In functions that are uncorrelated and of equal size over texts, the sum of squares of what is dropped is its mean
//! square over texts (as far as qubits are independent).
//!
//! With all cores but one held, the logits are linear in that one; each is solved for in turn, there and back. A ridge
//! keeps a core near what it was, so that directions which the texts say little about stay those of the circuit.

use super::chain::{Chain, Core, Mode};
use crate::compile::agreement::{Circles, circles};
use crate::compile::coefficients::Coefficients;
use nalgebra::{Cholesky, DMatrix, DVector, Matrix3, Vector3};
use qdllm_runtime::QUBITS;
use rayon::prelude::*;

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
            tensor.along(q, &basis.transpose());
        }
        let size = tensor.values.iter().map(|x| x * x).sum::<f64>().sqrt();
        // A triangle without zeros on its diagonal has an inverse.
        let inverses = bases.map(|b| b.try_inverse().unwrap_or_else(Matrix3::identity));
        Self { tensor, inverses, size }
    }

    pub fn features(&self, angles: &[f32; QUBITS]) -> Circles {
        let circles = circles(angles);
        std::array::from_fn(|q| (self.inverses[q] * Vector3::from(circles[q])).into())
    }

    /// A chain of these functions as one of (1, cosine, sine).
    ///
    /// Every core but the leg's is made orthonormal before, so that its rows are independent.
    pub fn plain(&self, mut chain: Chain) -> Chain {
        chain.centre_at_first();
        (0..chain.leg()).for_each(|k| chain.step_right(k));
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

/// Weight of the ridge: what a text counts for.
const RIDGE: f64 = 0.02;
/// Texts whose rows are multiplied at a time.
const CHUNK: usize = 128;

/// What is left or right of a core, for one text: a row a bond entry, one number or one a class.
type Side = DMatrix<f64>;

pub struct Texts<'t> {
    /// Three functions of each qubit's angle, as the chain takes them.
    pub features: &'t [Circles],
    pub logits: &'t [Vec<f64>],
}

/// Solves for every core in turn, there and back, `sweeps` times.
pub fn fit(chain: &mut Chain, texts: &Texts<'_>, sweeps: usize) {
    let last = chain.cores.len() - 1;
    chain.centre_at_first();
    let one = || vec![DMatrix::from_element(1, 1, 1.0); texts.features.len()];
    let (mut lefts, mut rights) = (vec![one()], vec![one()]);
    for k in (1..=last).rev() {
        rights.push(carry(&chain.cores[k], texts, &rights[last - k], left_of));
    }
    for _ in 0..sweeps {
        for k in 0..=last {
            solve(&mut chain.cores[k], texts, &lefts[k], &rights[last - k]);
            if k < last {
                chain.step_right(k);
                lefts.push(carry(&chain.cores[k], texts, &lefts[k], right_of));
            }
        }
        rights.truncate(1);
        for k in (1..=last).rev() {
            if k < last {
                solve(&mut chain.cores[k], texts, &lefts[k], &rights[last - k]);
            }
            chain.step_left(k);
            rights.push(carry(&chain.cores[k], texts, &rights[last - k], left_of));
        }
        lefts.truncate(1);
    }
}

pub fn logits(chain: &Chain, features: &Circles) -> Vec<f64> {
    let one = DMatrix::from_element(1, 1, 1.0);
    let side = chain.cores.iter().fold(one, |side, core| right_of(core, features, &side));
    side.data.into()
}

/// Every text's side of the next core.
fn carry(
    core: &Core,
    texts: &Texts<'_>,
    sides: &[Side],
    next: fn(&Core, &Circles, &Side) -> Side,
) -> Vec<Side> {
    sides.par_iter().zip(texts.features).map(|(side, f)| next(core, f, side)).collect()
}

/// A core with its qubit's functions put in: a by b.
fn slice(core: &Core, features: &[f64; 3]) -> DMatrix<f64> {
    DMatrix::from_fn(core.left, core.right, |a, b| {
        (0..3).map(|i| features[i] * core.entry(a, i, b)).sum()
    })
}

fn right_of(core: &Core, features: &Circles, side: &Side) -> Side {
    match core.mode {
        Mode::Qubit(q) => slice(core, &features[q]).tr_mul(side),
        Mode::Leg => DMatrix::from_fn(core.right, core.dim, |b, c| {
            (0..core.left).map(|a| side[a] * core.entry(a, c, b)).sum()
        }),
    }
}

fn left_of(core: &Core, features: &Circles, side: &Side) -> Side {
    match core.mode {
        Mode::Qubit(q) => slice(core, &features[q]) * side,
        Mode::Leg => DMatrix::from_fn(core.left, core.dim, |a, c| {
            (0..core.right).map(|b| core.entry(a, c, b) * side[b]).sum()
        }),
    }
}

/// The core that fits best, the others held.
fn solve(core: &mut Core, texts: &Texts<'_>, lefts: &[Side], rights: &[Side]) {
    // A core's entries as unknowns: one column, or one a class for the leg.
    let (dim, right) = (core.dim, core.right);
    let (rows, columns) = match core.mode {
        Mode::Qubit(_) => (core.data.len(), 1),
        Mode::Leg => (core.left * right, dim),
    };
    let place = |row: usize, column: usize| match columns {
        1 => row,
        _ => (row / right * dim + column) * right + row % right,
    };
    let old = DMatrix::from_fn(rows, columns, |row, c| core.data[place(row, c)]);
    let numbers: Vec<usize> = (0..texts.features.len()).collect();
    let (normal, slopes) = numbers
        .par_chunks(CHUNK)
        .map(|chunk| {
            let (design, targets) = match core.mode {
                Mode::Qubit(q) => qubit_rows(core, q, texts, lefts, rights, chunk),
                // One row a text; a column of targets a class.
                Mode::Leg => (
                    DMatrix::from_fn(chunk.len(), rows, |t, place| {
                        lefts[chunk[t]][place / right] * rights[chunk[t]][place % right]
                    }),
                    DMatrix::from_fn(chunk.len(), dim, |t, c| texts.logits[chunk[t]][c]),
                ),
            };
            let missing = targets - &design * &old;
            (design.tr_mul(&design), design.tr_mul(&missing))
        })
        .collect::<Vec<_>>()
        .into_iter()
        .reduce(|(a, b), (c, d)| (a + c, b + d))
        .unwrap_or_else(|| (DMatrix::zeros(rows, rows), DMatrix::zeros(rows, columns)));
    let ridge = RIDGE * texts.features.len() as f64 + 1e-9;
    let normal = normal + DMatrix::from_diagonal(&DVector::from_element(rows, ridge));
    if let Some(cholesky) = Cholesky::new(normal) {
        let new = old + cholesky.solve(&slopes);
        for (i, x) in new.iter().enumerate() {
            core.data[place(i % rows, i / rows)] = *x;
        }
    }
}

/// A row a text and class, for a core of qubit `q`.
fn qubit_rows(
    core: &Core,
    q: usize,
    texts: &Texts<'_>,
    lefts: &[Side],
    rights: &[Side],
    chunk: &[usize],
) -> (DMatrix<f64>, DMatrix<f64>) {
    let classes = texts.logits[0].len();
    let mut design = DMatrix::zeros(chunk.len() * classes, core.data.len());
    let mut targets = DMatrix::zeros(chunk.len() * classes, 1);
    for (t, &i) in chunk.iter().enumerate() {
        let (left, right, z) = (&lefts[i], &rights[i], &texts.features[i][q]);
        for c in 0..classes {
            targets[t * classes + c] = texts.logits[i][c];
            // The side that has the leg has one column a class.
            let (lc, rc) = (c % left.ncols(), c % right.ncols());
            for a in 0..core.left {
                for (d, z) in z.iter().enumerate() {
                    let factor = left[(a, lc)] * z;
                    for b in 0..core.right {
                        let column = (a * 3 + d) * core.right + b;
                        design[(t * classes + c, column)] = factor * right[(b, rc)];
                    }
                }
            }
        }
    }
    (design, targets)
}

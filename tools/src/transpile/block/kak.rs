//! The canonical form of a two-qubit matrix: matrices on each qubit around
//! `exp(i (x XX + y YY + z ZZ))` with `pi/4 >= x >= y >= |z|`.

use crate::matrix::{Matrix, Matrix4};
use num_complex::Complex64 as C;
use qdllm_runtime::circuit::gate::GateKind;
use std::array::from_fn;
use std::f64::consts::{FRAC_1_SQRT_2, FRAC_PI_2};

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Kak {
    pub before: [Matrix; 2],
    pub angles: [f64; 3],
    pub after: [Matrix; 2],
}

impl Kak {
    pub fn of(unitary: &Matrix4) -> Self {
        let magic = magic();
        let m = unitary.special();
        // In the magic basis local matrices are real, and the middle is diagonal.
        let m = magic.then(&m).then(&magic.dagger());
        let square = m.then(&m.transposed());
        let (vectors, values) = diagonalised(&square);
        let mut phases = values.map(|v| v.arg() / 2.0);
        let columns = |p: &[f64; 4]| {
            let p = *p;
            Matrix(from_fn(|i| from_fn(|j| C::new(vectors[i][j], 0.0) * C::cis(-p[j]))))
        };
        let mut left = columns(&phases).then(&m);
        if real_determinant(&left) < 0.0 {
            phases[0] += std::f64::consts::PI;
            left = columns(&phases).then(&m);
        }
        let left = left.map(|x| C::new(x.re, 0.0));
        let right = Matrix(from_fn(|i| from_fn(|j| C::new(vectors[j][i], 0.0))));
        let local = |o: &Matrix4| magic.dagger().then(o).then(&magic).split();
        let [p0, p1, p2, p3] = phases;
        let angles =
            [(p0 + p1 - p2 - p3) / 4.0, (p1 + p3 - p0 - p2) / 4.0, (p0 + p3 - p1 - p2) / 4.0];
        Self { before: local(&right), angles, after: local(&left) }.canonical()
    }

    fn canonical(mut self) -> Self {
        let axes = [GateKind::X, GateKind::Y, GateKind::Z];
        for (i, kind) in axes.into_iter().enumerate() {
            // exp(i pi/2 PP) is P on both qubits, up to phase.
            let turns = (self.angles[i] / FRAC_PI_2).round();
            self.angles[i] -= turns * FRAC_PI_2;
            if turns.rem_euclid(2.0) == 1.0 {
                let p = Matrix::rotation(kind, 0.0);
                self.before = self.before.map(|m| m.then(&p));
            }
        }
        for (i, j) in [(0, 1), (1, 2), (0, 1)] {
            if self.angles[i].abs() < self.angles[j].abs() {
                self = self.exchanged(i, j);
            }
        }
        // Signs change in pairs.
        for i in 0..2 {
            if self.angles[i] < 0.0 {
                self.angles[i] = -self.angles[i];
                self.angles[2] = -self.angles[2];
                // The Pauli of the axis that keeps its sign.
                let p = Matrix::rotation(axes[1 - i], 0.0);
                self.before[0] = self.before[0].then(&p);
                self.after[0] = p.then(&self.after[0]);
            }
        }
        self
    }

    #[must_use]
    pub fn exchanged(mut self, i: usize, j: usize) -> Self {
        self.angles.swap(i, j);
        let about = [GateKind::Rx, GateKind::Ry, GateKind::Rz][3 - i - j];
        let (to, back) = (Matrix::rotation(about, FRAC_PI_2), Matrix::rotation(about, -FRAC_PI_2));
        self.before = self.before.map(|m| m.then(&to));
        self.after = self.after.map(|m| back.then(&m));
        self
    }
}

/// Columns: Bell states with phases that make local matrices real.
fn magic() -> Matrix4 {
    let (o, r, i) = (C::default(), C::new(FRAC_1_SQRT_2, 0.0), C::new(0.0, FRAC_1_SQRT_2));
    let n = |z: C| z.scale(-1.0);
    Matrix([[r, o, o, i], [o, i, r, o], [o, i, n(r), o], [r, o, o, n(i)]])
}

fn real_determinant(m: &Matrix4) -> f64 {
    m.map(|x| C::new(x.re, 0.0)).determinant().re
}

/// Real eigenvectors (columns, determinant 1) and eigenvalues of a symmetric unitary matrix: its real
/// and imaginary parts commute, so rotations of pairs bring both to a diagonal (Cardoso and
/// Souloumiac 1996), equal eigenvalues or not.
fn diagonalised(m: &Matrix4) -> ([[f64; 4]; 4], [C; 4]) {
    let mut parts = [m.0.map(|row| row.map(|x| x.re)), m.0.map(|row| row.map(|x| x.im))];
    let mut vectors: [[f64; 4]; 4] = from_fn(|i| from_fn(|j| if i == j { 1.0 } else { 0.0 }));
    for _ in 0..40 {
        let mut turned = false;
        for p in 0..3 {
            for q in p + 1..4 {
                let (mut on, mut off) = (0.0, 0.0);
                for a in &parts {
                    let (h, k) = (a[p][p] - a[q][q], a[p][q] + a[q][p]);
                    on += h * h - k * k;
                    off += 2.0 * h * k;
                }
                let angle = 0.5 * off.atan2(on + on.hypot(off));
                if angle.abs() < 1e-16 {
                    continue;
                }
                turned = true;
                let (s, c) = angle.sin_cos();
                let columns = |row: &mut [f64; 4]| {
                    (row[p], row[q]) = (c * row[p] + s * row[q], c * row[q] - s * row[p]);
                };
                for a in &mut parts {
                    a.iter_mut().for_each(columns);
                    let (above, below) = (a[p], a[q]);
                    a[p] = from_fn(|j| c * above[j] + s * below[j]);
                    a[q] = from_fn(|j| c * below[j] - s * above[j]);
                }
                vectors.iter_mut().for_each(columns);
            }
        }
        if !turned {
            break;
        }
    }
    let values = from_fn(|i| C::new(parts[0][i][i], parts[1][i][i]));
    if Matrix(vectors.map(|row| row.map(|x| C::new(x, 0.0)))).determinant().re < 0.0 {
        vectors.iter_mut().for_each(|row| row[0] = -row[0]);
    }
    (vectors, values)
}

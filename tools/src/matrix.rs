//! Two-by-two and four-by-four complex matrices, those of the gates of the table, and the canonical form.

use num_complex::Complex64 as C;
use qdllm_runtime::circuit::gate::{Axis, GateKind, Generator};
use std::array::from_fn;
use std::f64::consts::{FRAC_1_SQRT_2, FRAC_PI_2, FRAC_PI_4, PI};

/// A square matrix, row by row. Of a matrix on two qubits, bit 0 of an index is the first qubit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Matrix<const N: usize = 2>(pub [[C; N]; N]);

pub type Matrix4 = Matrix<4>;

const ZERO: C = C::new(0.0, 0.0);
const ONE: C = C::new(1.0, 0.0);

impl<const N: usize> Matrix<N> {
    pub fn diagonal(entries: [C; N]) -> Self {
        Self(from_fn(|i| from_fn(|j| if i == j { entries[i] } else { ZERO })))
    }

    /// This matrix, then `next`: the product `next * self`.
    #[must_use]
    pub fn then(&self, next: &Self) -> Self {
        let (a, b) = (&next.0, &self.0);
        let entry =
            |i: usize, j: usize| (1..N).fold(a[i][0] * b[0][j], |s, k| s + a[i][k] * b[k][j]);
        Self(from_fn(|i| from_fn(|j| entry(i, j))))
    }

    #[must_use]
    pub fn transposed(&self) -> Self {
        Self(from_fn(|i| from_fn(|j| self.0[j][i])))
    }

    #[must_use]
    pub fn dagger(&self) -> Self {
        self.transposed().map(|x| x.conj())
    }

    #[must_use]
    pub fn map(&self, of: impl Fn(C) -> C) -> Self {
        Self(self.0.map(|row| row.map(&of)))
    }

    pub fn trace(&self) -> C {
        (0..N).fold(ZERO, |s, i| s + self.0[i][i])
    }
}

impl Matrix {
    pub const IDENTITY: Self = Self([[ONE, ZERO], [ZERO, ONE]]);

    /// The matrix of a one-qubit gate; `None` for a gate of two qubits.
    pub fn of(kind: GateKind, [t, phi, lambda]: [f64; 3]) -> Option<Self> {
        use GateKind as K;
        let (sin, cos) = (t / 2.0).sin_cos();
        let (real, imaginary) = (|x| C::new(x, 0.0), |x| C::new(0.0, x));
        let phase = |factor| Self::diagonal([ONE, factor]);
        Some(match kind {
            K::Rx => Self([[real(cos), imaginary(-sin)], [imaginary(-sin), real(cos)]]),
            K::Ry => Self([[real(cos), real(-sin)], [real(sin), real(cos)]]),
            K::Rz => Self::diagonal([C::cis(-t / 2.0), C::cis(t / 2.0)]),
            K::H => {
                let h = real(FRAC_1_SQRT_2);
                Self([[h, h], [h, -h]])
            }
            K::X => Self([[ZERO, ONE], [ONE, ZERO]]),
            K::Y => Self([[ZERO, imaginary(-1.0)], [imaginary(1.0), ZERO]]),
            K::Z => phase(real(-1.0)),
            K::S => phase(imaginary(1.0)),
            K::Sdg => phase(imaginary(-1.0)),
            K::T => phase(C::cis(FRAC_PI_4)),
            K::Tdg => phase(C::cis(-FRAC_PI_4)),
            K::P => phase(C::cis(t)),
            K::U => Self([
                [real(cos), C::cis(lambda).scale(-sin)],
                [C::cis(phi).scale(sin), C::cis(phi + lambda).scale(cos)],
            ]),
            _ => return None,
        })
    }

    pub fn rotation(kind: GateKind, angle: f64) -> Self {
        Self::of(kind, [angle, 0.0, 0.0]).unwrap_or(Self::IDENTITY)
    }

    pub fn is_diagonal(&self) -> bool {
        self.0[0][1].norm_sqr() < 1e-24 && self.0[1][0].norm_sqr() < 1e-24
    }

    /// `(theta, phi, lambda)` with `self = RZ(phi) RY(theta) RZ(lambda)` up to phase; theta in 0..=pi.
    pub fn zyz(&self) -> (f64, f64, f64) {
        let m = &self.0;
        let theta = 2.0 * m[1][0].norm_sqr().sqrt().atan2(m[0][0].norm_sqr().sqrt());
        // Phases from the larger entries, so that a zero entry never decides an angle.
        if theta < 1e-12 {
            return (0.0, wrap((m[1][1] * m[0][0].conj()).arg()), 0.0);
        }
        if PI - theta < 1e-12 {
            return (PI, wrap((m[1][0] * m[0][1].conj()).arg() - PI), 0.0);
        }
        let phi = (m[1][0] * m[0][0].conj()).arg();
        let lambda = (m[1][1] * m[1][0].conj()).arg();
        (theta, wrap(phi), wrap(lambda))
    }
}

impl Matrix4 {
    /// The matrix of a two-qubit gate; `None` for a gate of one qubit.
    pub fn of_two(kind: GateKind, t: f64) -> Option<Self> {
        let info = kind.info();
        let controlled = |kind, t| Self::controlled(&Matrix::rotation(kind, t));
        let rotation = |axis| match axis {
            Axis::X => (GateKind::Rx, GateKind::X),
            Axis::Y => (GateKind::Ry, GateKind::Y),
            Axis::Z => (GateKind::Rz, GateKind::Z),
        };
        Some(match (info.qubits, info.generator) {
            (2, Generator::Controlled(axis)) => controlled(rotation(axis).0, t),
            (2, Generator::Phase) => {
                controlled(GateKind::P, if info.angles == 0 { info.turn } else { t })
            }
            // exp(-i t/2 P⊗P) = cos(t/2) - i sin(t/2) P⊗P.
            (2, Generator::Pauli(axis)) => {
                let p = Matrix::rotation(rotation(axis).1, 0.0);
                let ((sin, cos), pp) = ((t / 2.0).sin_cos(), Self::pair(&p, &p));
                let unit = |i: usize, j: usize| if i == j { cos } else { 0.0 };
                Self(from_fn(|i| from_fn(|j| pp.0[i][j] * C::new(0.0, -sin) + unit(i, j))))
            }
            _ if kind == GateKind::Cx => controlled(GateKind::X, 0.0),
            _ if kind == GateKind::Swap => {
                Self(from_fn(|i| from_fn(|j| if i == j >> 1 | (j & 1) << 1 { ONE } else { ZERO })))
            }
            _ => return None,
        })
    }

    /// `matrix` on the second qubit where the first is 1.
    fn controlled(matrix: &Matrix) -> Self {
        let mut m = Self::diagonal([ONE; 4]);
        for (i, j) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
            m.0[2 * i + 1][2 * j + 1] = matrix.0[i][j];
        }
        m
    }

    pub fn pair(first: &Matrix, second: &Matrix) -> Self {
        Self(from_fn(|i| from_fn(|j| first.0[i & 1][j & 1] * second.0[i >> 1][j >> 1])))
    }

    #[must_use]
    pub fn phased(&self, t: f64) -> Self {
        let mut m = *self;
        for (i, row) in m.0.iter_mut().enumerate() {
            let sign = if i == 0 || i == 3 { -0.5 } else { 0.5 };
            row.iter_mut().for_each(|x| *x *= C::cis(sign * t));
        }
        m
    }

    pub fn determinant(&self) -> C {
        let mut m = self.0;
        let mut product = ONE;
        for k in 0..4 {
            let size = |r: &usize| m[*r][k].norm_sqr();
            let pivot = (k..4).max_by(|a, b| size(a).total_cmp(&size(b))).unwrap_or(k);
            if pivot != k {
                m.swap(k, pivot);
                product = -product;
            }
            let head = m[k][k];
            if head.norm_sqr() == 0.0 {
                return ZERO;
            }
            product *= head;
            for row in k + 1..4 {
                let factor = m[row][k] * head.conj().scale(1.0 / head.norm_sqr());
                let above = m[k];
                m[row].iter_mut().zip(above).for_each(|(x, y)| *x -= factor * y);
            }
        }
        product
    }

    /// The same matrix with determinant 1: times a phase.
    #[must_use]
    pub fn special(&self) -> Self {
        let phase = C::cis(-self.determinant().arg() / 4.0);
        self.map(|x| x * phase)
    }

    /// The largest distance between entries, up to one phase, in the given columns.
    pub fn distance(&self, other: &Self, columns: &[usize]) -> f64 {
        let entries = || (0..4).flat_map(|i| columns.iter().map(move |&j| (i, j)));
        let overlap = entries().fold(ZERO, |s, (i, j)| s + self.0[i][j].conj() * other.0[i][j]);
        let phase = C::cis(overlap.arg());
        entries()
            .map(|(i, j)| (self.0[i][j] * phase - other.0[i][j]).norm_sqr().sqrt())
            .fold(0.0, f64::max)
    }

    /// The matrices on each qubit, of a matrix that is such a pair up to phase.
    pub fn split(&self) -> [Matrix; 2] {
        let block =
            |i: usize, j: usize| Matrix(from_fn(|k| from_fn(|l| self.0[2 * i + k][2 * j + l])));
        let size = |m: &Matrix| m.0.iter().flatten().map(C::norm_sqr).sum::<f64>();
        // The largest quarter says what the first qubit's matrix is.
        let quarters = [(0, 0), (0, 1), (1, 0), (1, 1)].map(|(i, j)| block(i, j));
        let largest = quarters.into_iter().max_by(|a, b| size(a).total_cmp(&size(b)));
        let largest = largest.unwrap_or(Matrix::IDENTITY);
        let scale = (2.0 / size(&largest)).sqrt();
        let first = largest.map(|x| x * scale);
        let share = |i: usize, j: usize| {
            let quarter = block(i, j);
            let cells = (0..2).flat_map(|k| (0..2).map(move |l| (k, l)));
            cells.fold(ZERO, |s, (k, l)| s + first.0[k][l].conj() * quarter.0[k][l]).scale(0.5)
        };
        [first, Matrix(from_fn(|i| from_fn(|j| share(i, j))))]
    }
}

pub fn wrap(angle: f64) -> f64 {
    let turns = (angle / (2.0 * PI)).round();
    angle - turns * 2.0 * PI
}

/// The canonical form of a two-qubit matrix: matrices on each qubit around
/// `exp(i (x XX + y YY + z ZZ))` with `pi/4 >= x >= y >= |z|`.
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
            phases[0] += PI;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_split_again_and_determinants_multiply() {
        let a = Matrix::of(GateKind::U, [0.3, 1.1, -0.4]).unwrap();
        let b = Matrix::of(GateKind::U, [2.2, -0.7, 0.9]).unwrap();
        let both = Matrix4::pair(&a, &b).map(|x| x * C::cis(0.8));
        let [p, q] = both.split();
        assert!(both.distance(&Matrix4::pair(&p, &q), &[0, 1, 2, 3]) < 1e-14);
        let det = |m: &Matrix| m.0[0][0] * m.0[1][1] - m.0[0][1] * m.0[1][0];
        let expected = det(&a) * det(&a) * det(&b) * det(&b) * C::cis(3.2);
        assert!((both.determinant() - expected).norm_sqr() < 1e-28);
        assert!((both.special().determinant() - ONE).norm_sqr() < 1e-28);
    }
}

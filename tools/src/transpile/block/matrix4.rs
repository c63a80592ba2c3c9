//! Four-by-four matrices: what happens on a pair of qubits. Bit 0 of an index is the first qubit.

use crate::matrix::{C, Matrix, c};
use crate::transpile::block::Element;
use std::array::from_fn;

/// A four-by-four matrix, row by row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Four(pub [[C; 4]; 4]);

impl Four {
    /// The identity.
    pub fn identity() -> Self {
        Self::pair(&Matrix::IDENTITY, &Matrix::IDENTITY)
    }

    /// One matrix on each qubit.
    pub fn pair(first: &Matrix, second: &Matrix) -> Self {
        Self(from_fn(|i| from_fn(|j| first.0[i & 1][j & 1] * second.0[i >> 1][j >> 1])))
    }

    /// What elements on qubits 0 and 1 do together.
    pub fn of(elements: &[Element]) -> Self {
        elements.iter().fold(Self::identity(), |m, element| match element {
            Element::One(0, one) => m.then(&Self::pair(one, &Matrix::IDENTITY)),
            Element::One(_, one) => m.then(&Self::pair(&Matrix::IDENTITY, one)),
            Element::Cz(..) => {
                let mut m = m;
                m.0[3].iter_mut().for_each(|x| *x = x.times(-1.0));
                m
            }
        })
    }

    /// This matrix, then `next`: the product `next * self`.
    #[must_use]
    pub fn then(&self, next: &Self) -> Self {
        let (a, b) = (&next.0, &self.0);
        let entry = |i: usize, j: usize| (0..4).fold(C::default(), |s, k| s + a[i][k] * b[k][j]);
        Self(from_fn(|i| from_fn(|j| entry(i, j))))
    }

    /// The transpose.
    #[must_use]
    pub fn transposed(&self) -> Self {
        Self(from_fn(|i| from_fn(|j| self.0[j][i])))
    }

    /// The conjugate transpose.
    #[must_use]
    pub fn dagger(&self) -> Self {
        Self(from_fn(|i| from_fn(|j| self.0[j][i].conj())))
    }

    /// Times a number.
    #[must_use]
    pub fn times(&self, by: C) -> Self {
        Self(self.0.map(|row| row.map(|x| x * by)))
    }

    /// The sum of the diagonal.
    pub fn trace(&self) -> C {
        (0..4).fold(C::default(), |s, i| s + self.0[i][i])
    }

    /// The determinant.
    pub fn determinant(&self) -> C {
        let mut m = self.0;
        let mut product = c(1.0, 0.0);
        for k in 0..4 {
            let size = |r: &usize| m[*r][k].norm_sqr();
            let pivot = (k..4).max_by(|a, b| size(a).total_cmp(&size(b))).unwrap_or(k);
            if pivot != k {
                m.swap(k, pivot);
                product = product.times(-1.0);
            }
            let head = m[k][k];
            if head.norm_sqr() == 0.0 {
                return C::default();
            }
            product = product * head;
            for row in k + 1..4 {
                let factor = m[row][k] * head.conj().times(1.0 / head.norm_sqr());
                let above = m[k];
                m[row].iter_mut().zip(above).for_each(|(x, y)| *x = *x - factor * y);
            }
        }
        product
    }

    /// The same matrix with determinant 1: times a phase.
    #[must_use]
    pub fn special(&self) -> Self {
        self.times(C::turn(-self.determinant().arg() / 4.0))
    }

    /// The largest distance between entries, up to one phase, in the given columns.
    pub fn distance(&self, other: &Self, columns: &[usize]) -> f64 {
        let entries = || (0..4).flat_map(|i| columns.iter().map(move |&j| (i, j)));
        let overlap =
            entries().fold(C::default(), |s, (i, j)| s + self.0[i][j].conj() * other.0[i][j]);
        let phase = C::turn(overlap.arg());
        entries()
            .map(|(i, j)| (self.0[i][j] * phase - other.0[i][j]).norm_sqr().sqrt())
            .fold(0.0, f64::max)
    }

    /// The matrices on each qubit, of a matrix that is such a pair up to phase.
    pub fn split(&self) -> [Matrix; 2] {
        let block =
            |i: usize, j: usize| Matrix(from_fn(|k| from_fn(|l| self.0[2 * i + k][2 * j + l])));
        let size = |m: &Matrix| m.0.iter().flatten().map(|x| x.norm_sqr()).sum::<f64>();
        // The largest quarter says what the first qubit's matrix is.
        let places = [(0, 0), (0, 1), (1, 0), (1, 1)];
        let largest = places
            .into_iter()
            .map(|(i, j)| block(i, j))
            .max_by(|a, b| size(a).total_cmp(&size(b)))
            .unwrap_or(Matrix::IDENTITY);
        let scale = (2.0 / size(&largest)).sqrt();
        let first = Matrix(largest.0.map(|row| row.map(|x| x.times(scale))));
        let share = |i: usize, j: usize| {
            let quarter = block(i, j);
            let cells = (0..2).flat_map(|k| (0..2).map(move |l| (k, l)));
            cells
                .fold(C::default(), |s, (k, l)| s + first.0[k][l].conj() * quarter.0[k][l])
                .times(0.5)
        };
        [first, Matrix(from_fn(|i| from_fn(|j| share(i, j))))]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use qdllm_runtime::circuit::gate::GateKind;

    #[test]
    fn pairs_split_again_and_determinants_multiply() {
        let a = Matrix::of(GateKind::U, [0.3, 1.1, -0.4]).unwrap();
        let b = Matrix::of(GateKind::U, [2.2, -0.7, 0.9]).unwrap();
        let both = Four::pair(&a, &b).times(C::turn(0.8));
        let [p, q] = both.split();
        assert!(both.distance(&Four::pair(&p, &q), &[0, 1, 2, 3]) < 1e-14);
        let det = |m: &Matrix| m.0[0][0] * m.0[1][1] - m.0[0][1] * m.0[1][0];
        let expected = det(&a) * det(&a) * det(&b) * det(&b) * C::turn(3.2);
        assert!((both.determinant() - expected).norm_sqr() < 1e-28);
        assert!((both.special().determinant() - c(1.0, 0.0)).norm_sqr() < 1e-28);
    }
}

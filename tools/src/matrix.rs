//! Two-by-two matrices of one-qubit gates, and how they become gates of a processor's basis.

use qdllm_runtime::circuit::gate::GateKind;
use std::f64::consts::{FRAC_1_SQRT_2, FRAC_PI_2, FRAC_PI_4, PI};
use std::ops::{Add, Mul, Sub};

/// A complex number.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct C {
    /// Real part.
    pub re: f64,
    /// Imaginary part.
    pub im: f64,
}

/// A complex number from its parts.
pub const fn c(re: f64, im: f64) -> C {
    C { re, im }
}

impl C {
    /// `e^{i angle}`.
    pub fn turn(angle: f64) -> Self {
        let (im, re) = angle.sin_cos();
        Self { re, im }
    }

    /// The complex conjugate.
    pub const fn conj(self) -> Self {
        c(self.re, -self.im)
    }

    /// The squared absolute value.
    pub const fn norm_sqr(self) -> f64 {
        self.re * self.re + self.im * self.im
    }

    /// The argument, in radians.
    pub fn arg(self) -> f64 {
        self.im.atan2(self.re)
    }

    /// Times a real number.
    pub const fn times(self, x: f64) -> Self {
        c(self.re * x, self.im * x)
    }
}

impl Add for C {
    type Output = Self;
    fn add(self, o: Self) -> Self {
        c(self.re + o.re, self.im + o.im)
    }
}

impl Sub for C {
    type Output = Self;
    fn sub(self, o: Self) -> Self {
        c(self.re - o.re, self.im - o.im)
    }
}

impl Mul for C {
    type Output = Self;
    fn mul(self, o: Self) -> Self {
        c(self.re * o.re - self.im * o.im, self.re * o.im + self.im * o.re)
    }
}

/// A two-by-two matrix, row by row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Matrix(pub [[C; 2]; 2]);

impl Matrix {
    /// The identity.
    pub const IDENTITY: Self = Self([[c(1.0, 0.0), c(0.0, 0.0)], [c(0.0, 0.0), c(1.0, 0.0)]]);

    /// The matrix of a one-qubit gate; `None` for a gate of two qubits.
    pub fn of(kind: GateKind, [t, phi, lambda]: [f64; 3]) -> Option<Self> {
        use GateKind as K;
        let (sin, cos) = (t / 2.0).sin_cos();
        let diagonal = |a, b| Self([[a, C::default()], [C::default(), b]]);
        let one = c(1.0, 0.0);
        Some(match kind {
            K::Rx => Self([[c(cos, 0.0), c(0.0, -sin)], [c(0.0, -sin), c(cos, 0.0)]]),
            K::Ry => Self([[c(cos, 0.0), c(-sin, 0.0)], [c(sin, 0.0), c(cos, 0.0)]]),
            K::Rz => diagonal(C::turn(-t / 2.0), C::turn(t / 2.0)),
            K::H => {
                let h = c(FRAC_1_SQRT_2, 0.0);
                Self([[h, h], [h, h.times(-1.0)]])
            }
            K::X => Self([[C::default(), one], [one, C::default()]]),
            K::Y => Self([[C::default(), c(0.0, -1.0)], [c(0.0, 1.0), C::default()]]),
            K::Z => diagonal(one, c(-1.0, 0.0)),
            K::S => diagonal(one, c(0.0, 1.0)),
            K::Sdg => diagonal(one, c(0.0, -1.0)),
            K::T => diagonal(one, C::turn(FRAC_PI_4)),
            K::Tdg => diagonal(one, C::turn(-FRAC_PI_4)),
            K::P => diagonal(one, C::turn(t)),
            K::U => Self([
                [c(cos, 0.0), C::turn(lambda).times(-sin)],
                [C::turn(phi).times(sin), C::turn(phi + lambda).times(cos)],
            ]),
            _ => return None,
        })
    }

    /// `RZ`, `RY` or `RX` by its gate.
    pub fn rotation(kind: GateKind, angle: f64) -> Self {
        Self::of(kind, [angle, 0.0, 0.0]).unwrap_or(Self::IDENTITY)
    }

    /// This matrix, then `next`: the product `next * self`.
    #[must_use]
    pub fn then(&self, next: &Self) -> Self {
        let (a, b) = (&next.0, &self.0);
        let entry = |i: usize, j: usize| a[i][0] * b[0][j] + a[i][1] * b[1][j];
        Self([[entry(0, 0), entry(0, 1)], [entry(1, 0), entry(1, 1)]])
    }

    /// The conjugate transpose.
    #[must_use]
    pub fn dagger(&self) -> Self {
        let m = &self.0;
        Self([[m[0][0].conj(), m[1][0].conj()], [m[0][1].conj(), m[1][1].conj()]])
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

/// The same angle in -pi..=pi.
pub fn wrap(angle: f64) -> f64 {
    let turns = (angle / (2.0 * PI)).round();
    angle - turns * 2.0 * PI
}

/// One-qubit gates that a processor takes beside CZ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, clap::ValueEnum)]
pub enum Basis {
    /// h, rx, ry, rz
    HRz,
    /// u(theta, phi, lambda)
    U,
}

/// Angles below this are no rotation: far under what any check or processor resolves.
const NOTHING: f64 = 1e-11;

impl Basis {
    /// Gates for `matrix` up to a Z rotation after it, and the angle of that rotation. A CZ lets it
    /// pass.
    pub fn gates(self, matrix: &Matrix) -> (Vec<(GateKind, [f64; 3])>, f64) {
        let (theta, phi, lambda) = matrix.zyz();
        let turn = |kind, t| (kind, [t, 0.0, 0.0]);
        let near = |a: f64, b: f64| wrap(a - b).abs() < NOTHING;
        let mut gates = Vec::new();
        let mut after = phi;
        match self {
            _ if near(theta, 0.0) => after = phi + lambda,
            Self::U => gates.push((GateKind::U, [theta, 0.0, lambda])),
            // RZ(phi) RY(t) RZ(l) = RZ(phi + s pi/2) R(s t) RZ(l - s pi/2), so these need no RZ before.
            Self::HRz if near(lambda, 0.0) => gates.push(turn(GateKind::Ry, theta)),
            Self::HRz if near(lambda, PI) => {
                if near(theta, FRAC_PI_2) {
                    gates.push(turn(GateKind::H, 0.0));
                } else {
                    gates.push(turn(GateKind::Ry, -theta));
                    after = phi + PI;
                }
            }
            Self::HRz if near(lambda, FRAC_PI_2) => {
                gates.push(turn(GateKind::Rx, theta));
                after = phi + FRAC_PI_2;
            }
            Self::HRz if near(lambda, -FRAC_PI_2) => {
                gates.push(turn(GateKind::Rx, -theta));
                after = phi - FRAC_PI_2;
            }
            Self::HRz => gates.extend([turn(GateKind::Rz, lambda), turn(GateKind::Ry, theta)]),
        }
        (gates, wrap(after))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn distance(a: &Matrix, b: &Matrix) -> f64 {
        let product = a.dagger().then(b);
        // Equal up to phase: |trace| = 2.
        (2.0 - (product.0[0][0] + product.0[1][1]).norm_sqr().sqrt()).abs()
    }

    #[test]
    fn gates_of_a_basis_give_the_matrix_back() {
        let angles = [0.0, FRAC_PI_4, FRAC_PI_2, PI, -FRAC_PI_2, 1.234, -2.5];
        for i in 0..angles.len().pow(3) {
            let n = angles.len();
            let (t, p, l) = (angles[i % n], angles[i / n % n], angles[i / n / n]);
            let m = Matrix::of(GateKind::U, [t, p, l]).unwrap();
            for basis in [Basis::HRz, Basis::U] {
                let (gates, after) = basis.gates(&m);
                let mut back = gates
                    .iter()
                    .fold(Matrix::IDENTITY, |m, &(k, a)| m.then(&Matrix::of(k, a).unwrap()));
                back = back.then(&Matrix::rotation(GateKind::Rz, after));
                assert!(distance(&m, &back) < 1e-12, "{basis:?} {t} {p} {l}: {gates:?} {after}");
            }
        }
    }
}

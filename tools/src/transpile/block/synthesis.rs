//! The fewest CZ for a two-qubit matrix, as it is or up to a diagonal before or after it.

use crate::matrix::{Matrix, Matrix4};
use crate::transpile::block::kak::Kak;
use num_complex::Complex64 as C;
use qdllm_runtime::circuit::gate::GateKind;
use std::f64::consts::{FRAC_PI_2, FRAC_PI_4};

/// A circuit of one-qubit matrices and CZ.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Element {
    One(u8, Matrix),
    Cz(u8, u8),
}

pub fn cz_count(elements: &[Element]) -> usize {
    elements.iter().filter(|e| matches!(e, Element::Cz(..))).count()
}

/// What elements on qubits 0 and 1 do together.
pub fn matrix_of(elements: &[Element]) -> Matrix4 {
    let identity = Matrix4::diagonal([C::new(1.0, 0.0); 4]);
    elements.iter().fold(identity, |mut m, element| match element {
        Element::One(0, one) => m.then(&Matrix4::pair(one, &Matrix::IDENTITY)),
        Element::One(_, one) => m.then(&Matrix4::pair(&Matrix::IDENTITY, one)),
        Element::Cz(..) => {
            m.0[3].iter_mut().for_each(|x| *x = -*x);
            m
        }
    })
}

/// Angles and amplitudes below this are nothing.
pub const NOTHING: f64 = 1e-11;

const ALL: [usize; 4] = [0, 1, 2, 3];

fn one(q: u8, kind: GateKind, angle: f64) -> Element {
    Element::One(q, Matrix::rotation(kind, angle))
}

/// Elements on qubits 0 and 1 that make `unitary` up to phase: 0, 1, 2 or 3 CZ, the fewest there
/// are. `None` if rounding spoils them.
pub fn fewest(unitary: &Matrix4) -> Option<Vec<Element>> {
    let kak = Kak::of(unitary);
    let [x, y, z] = kak.angles;
    let quarter = (x - FRAC_PI_4).abs() < NOTHING;
    let (kak, middle) = if x < NOTHING {
        (kak, Vec::new())
    } else if quarter && y < NOTHING {
        (kak.exchanged(0, 2), one_cz())
    } else if z.abs() < NOTHING {
        let kak = kak.exchanged(1, 2);
        (kak, two_cz(kak.angles[0], kak.angles[2]))
    } else {
        (kak, three_cz(kak.angles))
    };
    let [a, b] = kak.before;
    let [p, q] = kak.after;
    let mut all = vec![Element::One(0, a), Element::One(1, b)];
    all.extend(middle);
    all.extend([Element::One(0, p), Element::One(1, q)]);
    (matrix_of(&all).distance(unitary, &ALL) < 10.0 * NOTHING).then_some(all)
}

fn one_cz() -> Vec<Element> {
    vec![Element::Cz(0, 1), one(0, GateKind::Rz, -FRAC_PI_2), one(1, GateKind::Rz, -FRAC_PI_2)]
}

fn cx(control: u8, target: u8) -> [Element; 3] {
    [one(target, GateKind::H, 0.0), Element::Cz(control, target), one(target, GateKind::H, 0.0)]
}

/// `exp(i (x XX + z ZZ))`: between two CX they are X on the control and Z on the target.
fn two_cz(x: f64, z: f64) -> Vec<Element> {
    let mut all = cx(0, 1).to_vec();
    all.extend([one(0, GateKind::Rx, -2.0 * x), one(1, GateKind::Rz, -2.0 * z)]);
    all.extend(cx(0, 1));
    all
}

/// `exp(i (x XX + y YY + z ZZ))`.
fn three_cz([x, y, z]: [f64; 3]) -> Vec<Element> {
    let mut all = vec![one(0, GateKind::Rz, -FRAC_PI_2)];
    all.extend(cx(0, 1));
    all.extend([
        one(1, GateKind::Rz, FRAC_PI_2 - 2.0 * z),
        one(0, GateKind::Ry, 2.0 * x - FRAC_PI_2),
    ]);
    all.extend(cx(1, 0));
    all.push(one(0, GateKind::Ry, FRAC_PI_2 - 2.0 * y));
    all.extend(cx(0, 1));
    all.push(one(1, GateKind::Rz, FRAC_PI_2));
    all
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Before,
    After,
}

/// The fewest elements (at most 2 CZ) for `unitary` with a phase `exp(-i t/2 ZZ)` added on a side, and `t`.
///
/// A matrix of determinant 1 takes 2 CZ when the trace of `U YY U^T YY` is real, and that trace turns with
/// `t` along an ellipse.
pub fn up_to_phase(unitary: &Matrix4, side: Side) -> Option<(Vec<Element>, f64)> {
    let u = unitary.special();
    let yy = word(GateKind::Y);
    let zz = word(GateKind::Z);
    let (inner, outer) = match side {
        Side::Before => (zz.then(&yy), yy),
        Side::After => (yy, yy.then(&zz)),
    };
    let first = u.transposed();
    let a = yy.then(&first).then(&yy).then(&u).trace();
    // The trace is cyclic: tr[U inner U^T outer].
    let b = outer.then(&first).then(&inner).then(&u).trace();
    let angles = [a.im.atan2(b.re), (-a.re).atan2(b.im), 0.0, FRAC_PI_2];
    let with = |t: f64| {
        let phase = Matrix4::diagonal([C::new(1.0, 0.0); 4]).phased(t);
        match side {
            Side::Before => phase.then(&u),
            Side::After => u.then(&phase),
        }
    };
    let all = angles.into_iter().filter_map(|t| Some((fewest(&with(t))?, t)));
    all.min_by_key(|(elements, _)| cz_count(elements))
}

fn word(kind: GateKind) -> Matrix4 {
    let p = Matrix::rotation(kind, 0.0);
    Matrix4::pair(&p, &p)
}

pub fn columns(first: [C; 2], second: [C; 2]) -> Matrix {
    Matrix([[first[0], second[0]], [first[1], second[1]]])
}

/// The unit vector at right angles to a unit vector.
pub fn across([a, b]: [C; 2]) -> [C; 2] {
    [C::new(-b.re, b.im), a.conj()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;
    use std::f64::consts::PI;

    pub fn random(rng: &mut ChaCha8Rng) -> Matrix {
        let angles = [0.0; 3].map(|_: f64| rng.random_range(-PI..PI));
        Matrix::of(GateKind::U, angles).unwrap()
    }

    /// A product of `n` CZ and random matrices around each.
    fn product(n: usize, rng: &mut ChaCha8Rng) -> Matrix4 {
        let mut all = vec![Element::One(0, random(rng)), Element::One(1, random(rng))];
        for _ in 0..n {
            all.extend([
                Element::Cz(0, 1),
                Element::One(0, random(rng)),
                Element::One(1, random(rng)),
            ]);
        }
        matrix_of(&all)
    }

    #[test]
    fn a_matrix_made_of_n_cz_takes_n_and_never_more_than_three() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        for n in 0..=6 {
            for _ in 0..200 {
                let u = product(n, &mut rng);
                let elements = fewest(&u).expect("an exact result");
                assert_eq!(cz_count(&elements), n.min(3));
            }
        }
    }

    #[test]
    fn matrices_with_equal_eigenvalues_are_made_exactly() {
        let half = |t: f64| Matrix4::diagonal([C::new(1.0, 0.0); 4]).phased(t);
        let swap = {
            let mut all = cx(0, 1).to_vec();
            all.extend(cx(1, 0));
            all.extend(cx(0, 1));
            matrix_of(&all)
        };
        let mut rng = ChaCha8Rng::seed_from_u64(2);
        for (u, n) in [
            (Matrix4::diagonal([C::new(1.0, 0.0); 4]), 0),
            (half(FRAC_PI_2), 1),
            (half(-FRAC_PI_2), 1),
            (half(PI), 0),
            (half(0.3), 2),
            (half(1e-6), 2),
            (swap, 3),
            (swap.then(&half(FRAC_PI_2)), 2),
            (swap.then(&half(1.0)), 3),
        ] {
            for _ in 0..20 {
                let mut turn = || Matrix4::pair(&random(&mut rng), &random(&mut rng));
                let u = turn().then(&u).then(&turn());
                assert_eq!(fewest(&u).map(|e| cz_count(&e)), Some(n), "{u:?}");
            }
        }
    }

    #[test]
    fn two_cz_are_enough_up_to_a_diagonal() {
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        for i in 0..300 {
            let u = product(i % 5, &mut rng);
            for side in [Side::Before, Side::After] {
                let (elements, t) = up_to_phase(&u, side).expect("an exact result");
                assert!(cz_count(&elements) <= 2);
                let back = match side {
                    Side::Before => Matrix4::diagonal([C::new(1.0, 0.0); 4])
                        .phased(-t)
                        .then(&matrix_of(&elements)),
                    Side::After => matrix_of(&elements).phased(-t),
                };
                assert!(back.distance(&u, &ALL) < 1e-10);
            }
            // A last phase costs nothing.
            let last = product(1, &mut rng).phased(0.7);
            let (elements, _) = up_to_phase(&last, Side::After).expect("an exact result");
            assert!(cz_count(&elements) <= 2);
        }
    }
}

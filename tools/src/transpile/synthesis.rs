//! The fewest CZ for a two-qubit matrix: as it is, up to a diagonal before or after it, or where qubits begin in |0>.

use crate::matrix::{Kak, Matrix, Matrix4};
use crate::transpile::ir::Fence;
use num_complex::Complex64 as C;
use qdllm_runtime::circuit::gate::GateKind;
use std::array::from_fn;
use std::f64::consts::{FRAC_PI_2, FRAC_PI_4};

/// A circuit of one-qubit matrices, CZ and fences.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Element {
    One(u8, Matrix),
    Cz(u8, u8),
    Fence(Fence),
}

impl Element {
    pub fn touches(&self, q: u8) -> bool {
        match *self {
            Self::One(p, _) => p == q,
            Self::Cz(a, b) => a == q || b == q,
            Self::Fence(fence) => fence.has(q),
        }
    }
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
        Element::Fence(_) => m,
    })
}

/// Angles and amplitudes below this are nothing.
const NOTHING: f64 = 1e-11;

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

fn columns(first: [C; 2], second: [C; 2]) -> Matrix {
    Matrix([[first[0], second[0]], [first[1], second[1]]])
}

/// The unit vector at right angles to a unit vector.
fn across([a, b]: [C; 2]) -> [C; 2] {
    [C::new(-b.re, b.im), a.conj()]
}

// Where qubits begin in |0>, it does not matter what is done to the other states.

/// Elements that take |00> where `unitary` takes it: at most one CZ.
pub fn prepared(unitary: &Matrix4) -> Option<Vec<Element>> {
    let column: [C; 4] = from_fn(|i| unitary.0[i][0]);
    // rows[i]: the first qubit's vector where the second is i. Its density matrix gives the
    // Schmidt vectors.
    let rows = [[column[0], column[1]], [column[2], column[3]]];
    let sum = |j: usize, k: usize| rows[0][j] * rows[0][k].conj() + rows[1][j] * rows[1][k].conj();
    let (p, q, r) = (sum(0, 0).re, sum(0, 1), sum(1, 1).re);
    let tilt = (2.0 * q.norm_sqr().sqrt()).atan2(p - r);
    let frame = Matrix::of(GateKind::U, [tilt, -q.arg(), 0.0])?;
    let partner =
        |k: usize| rows.map(|row| frame.0[0][k].conj() * row[0] + frame.0[1][k].conj() * row[1]);
    let (large, small) = (partner(0), partner(1));
    let (s0, s1) = (norm(&large), norm(&small));
    let first = unit(large);
    let other = aligned(across(first), small);
    let mut all = vec![Element::One(0, Matrix::rotation(GateKind::Ry, 2.0 * s1.atan2(s0)))];
    if s1 > NOTHING {
        let h = Element::One(1, Matrix::rotation(GateKind::H, 0.0));
        all.extend([h, Element::Cz(0, 1), h]);
    } else {
        all.clear();
    }
    all.extend([Element::One(0, frame), Element::One(1, columns(first, other))]);
    (matrix_of(&all).distance(unitary, &[0]) < 10.0 * NOTHING).then_some(all)
}

/// Elements that do what `unitary` does while qubit `fresh` (0 or 1) is |0>: at most two CZ.
pub fn begun(unitary: &Matrix4, fresh: u8) -> Option<Vec<Element>> {
    let kept = if fresh == 0 { [0, 2] } else { [0, 1] };
    if let Some(all) = fanned(unitary, fresh, kept)
        && matrix_of(&all).distance(unitary, &kept) < 10.0 * NOTHING
    {
        return Some(all);
    }
    let (elements, t) = up_to_phase(unitary, Side::Before)?;
    // What is left of exp(i t/2 ZZ) on |0> is a Z rotation of the other qubit.
    let mut all = vec![Element::One(1 - fresh, Matrix::rotation(GateKind::Rz, -t))];
    all.extend(elements);
    (matrix_of(&all).distance(unitary, &kept) < 10.0 * NOTHING).then_some(all)
}

/// At most one CZ: the other qubit in some basis decides between two states of the fresh one.
fn fanned(unitary: &Matrix4, fresh: u8, kept: [usize; 2]) -> Option<Vec<Element>> {
    let (f, o) = (usize::from(fresh), usize::from(1 - fresh));
    // What becomes of input k of the other qubit: [its bit][the fresh one's bit].
    let image =
        |k: usize| -> [[C; 2]; 2] { from_fn(|i| from_fn(|j| unitary.0[i << o | j << f][kept[k]])) };
    let (m, n) = (image(0), image(1));
    let (a, b, d) = (det(&m, &m), det(&m, &n) + det(&n, &m), det(&n, &n));
    let mixed = |r: [C; 2]| from_fn(|i| from_fn(|j| m[i][j] * r[0] + n[i][j] * r[1]));
    for basis in product_inputs(a, b, d) {
        let other = across(basis);
        let (Some((p0, q0)), Some((p1, q1))) = (factors(&mixed(basis)), factors(&mixed(other)))
        else {
            continue;
        };
        if dot(&p0, &p1).norm_sqr() > NOTHING * NOTHING {
            continue;
        }
        // Phases so that the two states of the fresh qubit overlap by a positive number.
        let turn = C::cis(-dot(&q0, &q1).arg());
        let (q1, p1) = (q1.map(|x| x * turn), p1.map(|x| x * turn.conj()));
        let plus = [q0[0] + q1[0], q0[1] + q1[1]];
        let minus = [q0[0] - q1[0], q0[1] - q1[1]];
        let (cos, sin) = (norm(&plus) / 2.0, norm(&minus) / 2.0);
        let middle = plus.map(|x| x.scale(0.5 / cos));
        let side = aligned(across(middle), minus);
        let inwards = columns(basis, other).dagger();
        let mut all = vec![
            Element::One(1 - fresh, inwards),
            Element::One(fresh, Matrix::rotation(GateKind::Ry, 2.0 * sin.atan2(cos))),
        ];
        if sin > NOTHING {
            all.push(Element::Cz(0, 1));
        }
        all.push(Element::One(fresh, columns(middle, side)));
        all.push(Element::One(1 - fresh, columns(p0, p1)));
        return Some(all);
    }
    None
}

/// Inputs `r` of norm 1 with `a r0^2 + b r0 r1 + d r1^2 = 0`; the basis state 0 where all vanish.
fn product_inputs(a: C, b: C, d: C) -> Vec<[C; 2]> {
    let tiny = NOTHING * NOTHING;
    let zero = [C::new(1.0, 0.0), C::default()];
    if a.norm_sqr() < tiny && d.norm_sqr() < tiny {
        return vec![zero];
    }
    let root = {
        let s = b * b - (a * d).scale(4.0);
        C::cis(s.arg() / 2.0).scale(s.norm_sqr().sqrt().sqrt())
    };
    // 2 a r0 = (-b +- root) r1 and 2 d r1 = (-b -+ root) r0: the form without cancellation.
    [root, root.scale(-1.0)]
        .into_iter()
        .flat_map(|s| {
            let top = s - b;
            [[top, a.scale(2.0)], [d.scale(2.0), top]]
        })
        .filter(|v| v[0].norm_sqr() + v[1].norm_sqr() > 1e-12)
        .map(unit)
        .collect()
}

/// `p` and `q` of norm 1 with `m[i][j] = p[i] q[j]`, if there are.
fn factors(m: &[[C; 2]; 2]) -> Option<([C; 2], [C; 2])> {
    if det(m, m).norm_sqr() > NOTHING * NOTHING {
        return None;
    }
    let q = unit(if norm(&m[0]) > norm(&m[1]) { m[0] } else { m[1] });
    let p = [0, 1].map(|i| dot(&q, &m[i]));
    (norm(&p) > 0.5).then(|| (unit(p), q))
}

fn det(a: &[[C; 2]; 2], b: &[[C; 2]; 2]) -> C {
    a[0][0] * b[1][1] - a[0][1] * b[1][0]
}

fn norm(v: &[C; 2]) -> f64 {
    (v[0].norm_sqr() + v[1].norm_sqr()).sqrt()
}

fn unit(v: [C; 2]) -> [C; 2] {
    let norm = norm(&v);
    v.map(|x| x.scale(1.0 / norm))
}

fn dot(a: &[C; 2], b: &[C; 2]) -> C {
    a[0].conj() * b[0] + a[1].conj() * b[1]
}

/// A unit vector with the phase of its overlap with another; as it is where there is none.
fn aligned(v: [C; 2], with: [C; 2]) -> [C; 2] {
    let overlap = dot(&v, &with);
    if overlap.norm_sqr() == 0.0 { v } else { v.map(|x| x * C::cis(overlap.arg())) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;
    use std::f64::consts::PI;

    fn random(rng: &mut ChaCha8Rng) -> Matrix {
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

    #[test]
    fn any_state_of_two_qubits_takes_one_cz() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        for i in 0..400 {
            let n = i % 4;
            let u = product(n, &mut rng);
            assert_eq!(prepared(&u).map(|e| cz_count(&e)), Some(n.min(1)), "{u:?}");
        }
        assert_eq!(
            prepared(&Matrix4::diagonal([C::new(1.0, 0.0); 4])).map(|e| cz_count(&e)),
            Some(0)
        );
    }

    #[test]
    fn a_fresh_qubit_saves_cz() {
        let mut rng = ChaCha8Rng::seed_from_u64(2);
        for i in 0..400 {
            let (n, fresh) = (i % 5, (i / 5 % 2) as u8);
            let u = product(n, &mut rng);
            assert_eq!(begun(&u, fresh).map(|e| cz_count(&e)), Some(n.min(2)), "{n} {fresh}");
            // A ZZ phase onto a qubit in a product state: one CZ, not two.
            let turn = |rng: &mut ChaCha8Rng| Matrix4::pair(&random(rng), &random(rng));
            let u = turn(&mut rng).phased(rng.random_range(0.1..1.4)).then(&turn(&mut rng));
            assert_eq!(begun(&u, fresh).map(|e| cz_count(&e)), Some(1), "phase, {fresh}");
        }
    }
}

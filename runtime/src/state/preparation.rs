//! The start of a circuit without its statevector: encoder, first diagonal, first rotations and what
//! of the second diagonal can be had for nothing, as two short vectors whose products are the state.
//!
//! Cut the qubits in a low side of 6 and a high side of up to 5. Where all phases of the first
//! diagonal that cross the cut have one word on the low side, the state after the first rotations is
//! `sum_b L_b (x) R_b` over the two parities `b` of that word; a second diagonal then only
//! multiplies, and an index map only says where a product goes. So the state is written once, already
//! in its place.

use crate::circuit::QUBITS;
use crate::circuit::index_map::{IndexMap, parity};
use crate::circuit::program::{MAX_TERMS, Op, Ops, Terms};
use crate::math::{Scalar, Value};
use crate::state::f32::{DIM, StateVector, product, rotate_by_weight};
use crate::state::kernels::{Diagonal, first};
use crate::state::rotations::Rotations;
use heapless::Vec;

const LOW: usize = 6;
const SIDE: usize = 1 << LOW;
/// Words on the low side by which phases of the second diagonal may cross.
const CLASSES: usize = 3;

/// One side's vectors by bond, as planes.
struct Side<V> {
    re: [[V; SIDE]; 2],
    im: [[V; SIDE]; 2],
}

struct Taken<'a, S> {
    first: Option<Terms<'a>>,
    rotations: Rotations<S>,
    second: Option<Terms<'a>>,
    map: IndexMap,
    /// The low word of the first diagonal's phases across the cut.
    bond: Option<u16>,
    classes: Vec<u16, CLASSES>,
}

impl<V: Value> StateVector<V> {
    /// Sets the state that the encoder (angles in radians) and as many instructions at the front of
    /// `ops` give as can be had so; takes those instructions.
    pub(crate) fn prepare(&mut self, angles_rad: &[V], ops: &mut Ops<'_>) {
        let qubits = angles_rad.len().min(QUBITS);
        self.qubits = qubits as u8;
        let taken = Taken::new(ops);
        let cut = qubits.min(LOW);
        let (below, above) = angles_rad.split_at_checked(cut).unwrap_or((angles_rad, &[]));
        let (mut low, mut high) = (Side::EMPTY, Side::EMPTY);
        low.fill(&taken, &taken.rotations, Part::Low, below);
        high.fill(&taken, &taken.rotations.above(LOW), Part::High, above);
        self.expand(&taken, &low, &high, cut, qubits - cut);
    }

    /// Writes every product of the two sides to its place.
    #[inline(never)]
    fn expand(
        &mut self,
        taken: &Taken<'_, V::Scalar>,
        low: &Side<V>,
        high: &Side<V>,
        cut: usize,
        rest: usize,
    ) {
        let mut places = [(0_u16, 0_u8); SIDE];
        for (x, place) in places.iter_mut().enumerate() {
            let odd = taken.classes.iter().map(|class| u8::from(parity(class & x as u16)));
            let class = odd.enumerate().fold(0, |all, (j, odd)| all | odd << j);
            *place = (taken.map.apply(x as u16), class);
        }
        let crossing = taken.crossing();
        let two = taken.bond.is_some();
        for h in 0..1 << rest {
            let to = taken.map.without_offset((h << LOW) as u16);
            let mut factors = [[V::ZERO; 4]; 1 << CLASSES];
            // One for each combination of the low words' parities.
            let all = 1 << taken.classes.len();
            for (combination, f) in factors.iter_mut().enumerate().take(all) {
                let [c, s] = crossing.at(h as u16, combination as u16, taken.rotations.scale());
                for bond in 0..2 {
                    let (re, im) = (high.re[bond][h & (SIDE - 1)], high.im[bond][h & (SIDE - 1)]);
                    (f[2 * bond], f[2 * bond + 1]) = (re * c - im * s, re * s + im * c);
                }
            }
            for (x, &(place, class)) in places.iter().enumerate().take(1 << cut) {
                let [r0, i0, r1, i1] = factors[class as usize & ((1 << CLASSES) - 1)];
                let (lr, li) = (low.re[0][x], low.im[0][x]);
                let (mut re, mut im) = (lr * r0 - li * i0, lr * i0 + li * r0);
                if two {
                    let (lr, li) = (low.re[1][x], low.im[1][x]);
                    (re, im) = (re + lr * r1 - li * i1, im + lr * i1 + li * r1);
                }
                let y = (place ^ to) as usize & (DIM - 1);
                (self.re[y], self.im[y]) = (re, im);
            }
        }
    }
}

/// The second diagonal's phases across the cut: their high words, classes and half angles.
struct Crossing<S>(Vec<(u16, u16, [S; 2]), MAX_TERMS>);

impl<S: Scalar> Crossing<S> {
    /// `scale` times the factor of high index `h` where the low words' parities are `combination`.
    fn at(&self, h: u16, combination: u16, scale: S) -> [S; 2] {
        let (mut re, mut im) = (scale, S::ZERO);
        for &(mask, class, [cos, sin]) in &self.0 {
            let odd = parity(mask & h) != (combination & class != 0);
            let sin = if odd { sin } else { -sin };
            (re, im) = (re * cos - im * sin, re * sin + im * cos);
        }
        [re, im]
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Part {
    /// Those on the low side alone.
    Low,
    /// Those on the high side alone.
    High,
    /// The high words of those across the cut, with their sign or against it.
    Across { negated: bool },
}

impl Part {
    /// The phase's word on the side that is meant, and whether it is negated.
    fn of(self, mask: u16) -> Option<(u16, bool)> {
        let (low, high) = (mask & (SIDE as u16 - 1), mask >> LOW);
        match self {
            Self::Low => (high == 0).then_some((low, false)),
            Self::High => (low == 0).then_some((high, false)),
            Self::Across { negated } => (low != 0 && high != 0).then_some((high, negated)),
        }
    }
}

// What is not inlined here keeps its tables on the stack only while it runs.
impl<V: Value> Side<V> {
    const EMPTY: Self = Self { re: [[V::ZERO; SIDE]; 2], im: [[V::ZERO; SIDE]; 2] };

    /// Encoder, first diagonal, rotations, second diagonal, for both bonds.
    #[inline(never)]
    fn fill(
        &mut self,
        taken: &Taken<'_, V::Scalar>,
        rotations: &Rotations<V::Scalar>,
        part: Part,
        angles_rad: &[V],
    ) {
        let qubits = angles_rad.len();
        product(angles_rad.get(..LOW).unwrap_or(angles_rad), &mut self.re[0]);
        rotate_by_weight(&mut self.re[0], &mut self.im[0]);
        self.multiply(0, &taken.first, part, qubits);
        (self.re[1], self.im[1]) = (self.re[0], self.im[0]);
        for bond in 0..1 + usize::from(taken.bond.is_some()) {
            if let Some(word) = taken.bond {
                if part == Part::Low {
                    self.keep(bond, word);
                } else {
                    let across = Part::Across { negated: bond == 1 };
                    self.multiply(bond, &taken.first, across, qubits);
                }
            }
            let size = 1 << qubits.min(LOW);
            rotations.apply(&mut self.re[bond & 1][..size]);
            rotations.apply(&mut self.im[bond & 1][..size]);
            self.multiply(bond, &taken.second, part, qubits);
        }
    }

    /// Clears the indices that do not have parity `bond` under `word`.
    fn keep(&mut self, bond: usize, word: u16) {
        for (x, (re, im)) in self.re[bond].iter_mut().zip(&mut self.im[bond]).enumerate() {
            if parity(word & x as u16) != (bond == 1) {
                (*re, *im) = (V::ZERO, V::ZERO);
            }
        }
    }

    /// Multiplies a bond by the phases that are meant.
    #[inline(never)]
    fn multiply(&mut self, bond: usize, terms: &Option<Terms<'_>>, part: Part, qubits: usize) {
        let Some(terms) = terms else { return };
        let meant = terms.clone().filter_map(|(mask, angle)| {
            let (word, negated) = part.of(mask)?;
            let angle = V::Scalar::from_f32(angle);
            Some((word, if negated { -angle } else { angle }))
        });
        let table = Diagonal::new(meant, V::Scalar::ONE).block(0);
        let plane = self.re[bond & 1].iter_mut().zip(&mut self.im[bond & 1]).zip(&table);
        for ((re, im), &[c, s]) in plane.take(1 << qubits) {
            (*re, *im) = (*re * c - *im * s, *re * s + *im * c);
        }
    }
}

impl<'a, S: Scalar> Taken<'a, S> {
    fn new(ops: &mut Ops<'a>) -> Self {
        let mut taken = Self {
            first: None,
            rotations: Rotations::NONE,
            second: None,
            map: IndexMap::IDENTITY,
            bond: None,
            classes: Vec::new(),
        };
        let mut ahead = ops.clone();
        let mut next = ahead.next();
        if let Some(Op::Phases(terms)) = &next {
            let mut words = across(terms).map(|(low, ..)| low);
            let bond = words.next();
            if words.all(|low| Some(low) == bond) {
                (taken.first, taken.bond) = (Some(terms.clone()), bond);
                *ops = ahead.clone();
                next = ahead.next();
            }
        }
        // A first diagonal that crosses by several words may still be taken as the second.
        while let Some(Op::Ry(qubit, angle)) = &next {
            let (sin, cos) = (S::from_f32(*angle) * S::HALF).sin_cos();
            if !taken.rotations.add(*qubit as usize, cos, sin) {
                return taken;
            }
            *ops = ahead.clone();
            next = ahead.next();
        }
        if let Some(Op::Phases(terms)) = &next {
            for (low, ..) in across(terms) {
                if taken.class(low).is_none() && taken.classes.push(low).is_err() {
                    taken.classes.clear();
                    return taken;
                }
            }
            taken.second = Some(terms.clone());
            *ops = ahead.clone();
            next = ahead.next();
        }
        if let Some(Op::IndexMap(map)) = next {
            taken.map = map;
            *ops = ahead;
        }
        taken
    }

    fn class(&self, low: u16) -> Option<usize> {
        self.classes.iter().position(|&class| class == low)
    }

    fn crossing(&self) -> Crossing<S> {
        Crossing(first(self.second.iter().flat_map(across).map(|(low, high, angle)| {
            let (sin, cos) = (S::from_f32(angle) * S::HALF).sin_cos();
            (high, 1 << self.class(low).unwrap_or(0), [cos, sin])
        })))
    }
}

/// The phases that cross the cut: (low word, high word, angle).
fn across<'a>(terms: &Terms<'a>) -> impl Iterator<Item = (u16, u16, f32)> + use<'a> {
    let cut = |(mask, angle): (u16, f32)| (mask & (SIDE as u16 - 1), mask >> LOW, angle);
    terms.clone().map(cut).filter(|&(low, high, _)| low != 0 && high != 0)
}

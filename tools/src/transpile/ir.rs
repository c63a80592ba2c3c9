//! What the compiler works on: a circuit as Z and ZZ phases, RY rotations, X and CX, with angles
//! that may depend on inputs.

use crate::matrix::wrap;
use qdllm_runtime::circuit::affine::Affine;
use std::f64::consts::{FRAC_PI_2, PI};

/// One step. Angles: `exp(-i angle/2 P)` for the Pauli word `P`.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    Rz(u8, Affine),
    Ry(u8, Affine),
    X(u8),
    Zz(u8, u8, Affine),
    Cx(u8, u8),
    /// Phase of Z⊗Z whose second qubit has seen no two-qubit step: one CZ.
    ZzProduct(u8, u8, Affine),
    /// Exchange of two qubits: made by routing, or one between fences.
    Swap(u8, u8),
    Fence(Fence),
}

/// A barrier: on its qubits nothing moves past it, and nothing is taken from what is known of the other side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fence {
    qubits: [u128; 2],
    /// The circuit has it, and keeps it; else the part between fences begins or ends here.
    pub shown: bool,
}

impl Fence {
    pub fn new(qubits: impl IntoIterator<Item = u8>, shown: bool) -> Self {
        let mut fence = Self { qubits: [0; 2], shown };
        qubits.into_iter().for_each(|q| fence.qubits[q as usize / 128] |= 1 << (q % 128));
        fence
    }

    pub fn has(self, q: u8) -> bool {
        self.qubits[q as usize / 128] >> (q % 128) & 1 == 1
    }

    pub fn qubits(self) -> impl Iterator<Item = u8> {
        (0..=u8::MAX).filter(move |&q| self.has(q))
    }

    /// Those below 16 as a mask: all, before routing.
    pub const fn mask(self) -> u16 {
        self.qubits[0] as u16
    }
}

/// How a step acts on one of its qubits: two steps commute if they act alike, and not
/// [`Axis::Other`], on each qubit that they share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Axis {
    X,
    Y,
    Z,
    Other,
}

impl Step {
    /// The qubits, and how it acts on each.
    pub fn acts(&self) -> impl Iterator<Item = (u8, Axis)> {
        let fence = if let Self::Fence(fence) = *self { Some(fence) } else { None };
        let ends = fence.is_none().then(|| self.ends());
        let fenced = fence.into_iter().flat_map(Fence::qubits);
        ends.into_iter().flatten().chain(fenced.map(|q| (q, Axis::Other)))
    }

    /// The same of a step that is no fence; a one-qubit step has one.
    fn ends(&self) -> [(u8, Axis); 2] {
        match *self {
            Self::Fence(_) => [(0, Axis::Other); 2],
            Self::Rz(q, _) => [(q, Axis::Z); 2],
            Self::Ry(q, _) => [(q, Axis::Y); 2],
            Self::X(q) => [(q, Axis::X); 2],
            Self::Zz(a, b, _) => [(a, Axis::Z), (b, Axis::Z)],
            Self::Cx(a, b) => [(a, Axis::Z), (b, Axis::X)],
            Self::ZzProduct(a, b, _) => [(a, Axis::Z), (b, Axis::Other)],
            Self::Swap(a, b) => [(a, Axis::Other), (b, Axis::Other)],
        }
    }

    pub fn pair(&self) -> Option<(u8, u8)> {
        let [(a, _), (b, _)] = self.ends();
        (a != b).then_some((a, b))
    }

    pub fn touches(&self, q: u8) -> bool {
        if let Self::Fence(fence) = self {
            fence.has(q)
        } else {
            self.ends().iter().any(|a| a.0 == q)
        }
    }

    /// Whether the order of the two cannot matter, seen from their axes alone.
    pub fn commutes(&self, other: &Self) -> bool {
        if let (Self::Fence(fence), step) | (step, Self::Fence(fence)) = (self, other) {
            return !step.acts().any(|(q, _)| fence.has(q));
        }
        self.ends().iter().all(|&(q, x)| {
            other.ends().iter().all(|&(r, y)| q != r || (x == y && x != Axis::Other))
        })
    }

    #[must_use]
    pub fn renamed(&self, name: impl Fn(u8) -> u8) -> Self {
        let mut step = self.clone();
        match &mut step {
            Self::Rz(q, _) | Self::Ry(q, _) | Self::X(q) => *q = name(*q),
            Self::Zz(a, b, _) | Self::Cx(a, b) | Self::ZzProduct(a, b, _) | Self::Swap(a, b) => {
                (*a, *b) = (name(*a), name(*b));
            }
            Self::Fence(fence) => *fence = Fence::new(fence.qubits().map(name), fence.shown),
        }
        step
    }

    /// CZs that it takes on its own.
    pub fn cost(&self) -> usize {
        match self {
            Self::Rz(..) | Self::Ry(..) | Self::X(_) | Self::Fence(_) => 0,
            Self::Zz(_, _, t) if t.is_multiple_of(PI) => 0,
            Self::Zz(_, _, t) if t.is_multiple_of(FRAC_PI_2) => 1,
            Self::Cx(..) | Self::ZzProduct(..) => 1,
            Self::Zz(..) => 2,
            Self::Swap(..) => 3,
        }
    }
}

/// CZs that steps take with every qubit coupled to every other.
pub fn cost(steps: &[Step]) -> usize {
    steps.iter().map(Step::cost).sum()
}

/// The place of a qubit after `a` and `b` have been exchanged.
pub fn exchanged(q: u8, a: u8, b: u8) -> u8 {
    match q {
        q if q == a => b,
        q if q == b => a,
        q => q,
    }
}

/// Two steps of one kind on the same qubits as one: `Some(None)` where they undo each other.
pub fn merged(a: &Step, b: &Step) -> Option<Option<Step>> {
    let mut sum = a.clone();
    match (&mut sum, b) {
        (Step::Rz(p, x), Step::Rz(q, y)) | (Step::Ry(p, x), Step::Ry(q, y)) if p == q => {
            x.add(y.clone());
        }
        (Step::Zz(p, q, x), Step::Zz(r, s, y)) if (*p, *q) == (*r, *s) || (*p, *q) == (*s, *r) => {
            x.add(y.clone());
        }
        (Step::X(_), Step::X(_)) | (Step::Cx(..), Step::Cx(..)) if a == b => return Some(None),
        _ => return None,
    }
    // A whole turn is only a global phase.
    let nothing = |t: &Affine| t.terms.is_empty() && wrap(t.constant).abs() < 1e-13;
    let gone = matches!(&sum, Step::Rz(_, t) | Step::Ry(_, t) | Step::Zz(_, _, t) if nothing(t));
    Some((!gone).then_some(sum))
}

/// Merges and cancels steps that meet after commuting; keeps the order of the others.
///
/// No ZZ phase by a multiple of pi is left: it is Z on each qubit, or nothing.
pub fn simplified(steps: Vec<Step>) -> Vec<Step> {
    let mut kept = Vec::with_capacity(steps.len());
    steps.into_iter().for_each(|step| push(&mut kept, step));
    kept
}

/// The steps that stand for one: half a turn of ZZ is Z on each qubit up to phase, a whole turn of
/// anything is nothing.
fn reduced(step: Step) -> Vec<Step> {
    match step {
        Step::Rz(_, t) | Step::Ry(_, t) | Step::Zz(_, _, t) if t.is_multiple_of(2.0 * PI) => vec![],
        Step::Zz(a, b, t) if t.is_multiple_of(PI) => {
            [a, b].map(|q| Step::Rz(q, Affine::constant(PI))).to_vec()
        }
        other => vec![other],
    }
}

fn push(kept: &mut Vec<Step>, step: Step) {
    for step in reduced(step) {
        // The first step, from the end, that this one meets or cannot pass.
        let first = kept.iter().enumerate().rev().find_map(|(at, earlier)| {
            let met = merged(earlier, &step);
            (met.is_some() || !earlier.commutes(&step)).then_some((at, met))
        });
        match first {
            Some((at, Some(sum))) => {
                // What the two became may meet something earlier still.
                let tail = kept.split_off(at + 1);
                kept.pop();
                sum.into_iter().flat_map(reduced).for_each(|part| push(kept, part));
                kept.extend(tail);
            }
            _ => kept.push(step),
        }
    }
}

/// The same circuit with every two-qubit step worth exactly one CZ: ZZ phases become CX, RZ, CX; exchanges
/// become CX, merged with the step on the same pair before or after them.
pub fn expanded(steps: &[Step]) -> Vec<Step> {
    let mut steps: Vec<Option<Step>> = steps.iter().cloned().map(Some).collect();
    let mut out: Vec<Vec<Step>> = vec![Vec::new(); steps.len()];
    for i in 0..steps.len() {
        if let Some(Step::Swap(a, b)) = steps[i] {
            exchange(&mut steps, &mut out, i, a, b);
        }
    }
    let rest = steps.into_iter().zip(out).flat_map(|(step, mut done)| {
        done.extend(step.into_iter().flat_map(|s| plain(&s)));
        done
    });
    simplified(rest.collect())
}

fn plain(step: &Step) -> Vec<Step> {
    match *step {
        Step::Zz(a, b, ref t) if step.cost() == 2 => {
            vec![Step::Cx(a, b), Step::Rz(b, t.clone()), Step::Cx(a, b)]
        }
        Step::Swap(a, b) => vec![Step::Cx(a, b), Step::Cx(b, a), Step::Cx(a, b)],
        _ => vec![step.clone()],
    }
}

/// A step on the pair, then the exchange of the pair; `None` if that saves nothing.
fn with_exchange(step: &Step, a: u8, b: u8) -> Option<Vec<Step>> {
    match step {
        // CX(c,t) and then CX(c,t) CX(t,c) CX(c,t): the first two go.
        Step::Cx(c, t) => Some(vec![Step::Cx(*t, *c), Step::Cx(*c, *t)]),
        Step::Zz(_, _, angle) if step.cost() == 2 => {
            Some(vec![Step::Cx(a, b), Step::Rz(b, angle.clone()), Step::Cx(b, a), Step::Cx(a, b)])
        }
        _ => None,
    }
}

fn exchange(steps: &mut [Option<Step>], out: &mut [Vec<Step>], i: usize, a: u8, b: u8) {
    let swapped = |q| exchanged(q, a, b);
    let touches = |s: &Step| s.touches(a) || s.touches(b);
    // A step already expanded blocks, and so do a fence and any two-qubit step but one on just this pair.
    let blocks = |s: &&Step| (s.pair().is_some() || matches!(s, Step::Fence(_))) && touches(s);
    let partner = |range: &mut dyn Iterator<Item = usize>| {
        for j in range {
            if out[j].iter().any(touches) {
                return None;
            }
            if let Some(s) = steps[j].as_ref().filter(blocks) {
                let same = s.touches(a) && s.touches(b);
                return same.then(|| with_exchange(s, a, b)).flatten().map(|m| (j, m));
            }
        }
        None
    };
    if let Some((j, merged)) = partner(&mut (0..i).rev()) {
        // The exchange moves back to `j`: what it passes is renamed.
        for step in steps[j + 1..i].iter_mut().flatten() {
            *step = step.renamed(swapped);
        }
        (steps[j], steps[i]) = (None, None);
        out[j] = merged;
        return;
    }
    if let Some((j, _)) = partner(&mut (i + 1..steps.len())) {
        // The exchange moves on to `j`, whose step now acts before it, on renamed qubits.
        let Some(step) = steps[j].take().map(|s| s.renamed(swapped)) else { return };
        if let Some(merged) = with_exchange(&step, a, b) {
            for between in steps[i + 1..j].iter_mut().flatten() {
                *between = between.renamed(swapped);
            }
            steps[i] = None;
            out[j] = merged;
        }
        return;
    }
    // With a qubit that nothing has touched yet, still |0>, two CX move the other one.
    let before = || steps[..i].iter().flatten().chain(out[..i].iter().flatten());
    let [used_a, used_b] = [a, b].map(|q| before().any(|s| s.touches(q)));
    if used_a != used_b {
        let (from, to) = if used_a { (a, b) } else { (b, a) };
        steps[i] = None;
        out[i] = vec![Step::Cx(from, to), Step::Cx(to, from)];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_merge_across_what_they_commute_with_and_no_further() {
        let n = Affine::constant;
        let cx = Step::Cx(0, 1);
        let across = vec![cx.clone(), Step::Rz(0, n(1.0)), Step::X(1), Step::Cx(2, 1), cx.clone()];
        assert_eq!(simplified(across).len(), 3);
        let blocked = vec![cx.clone(), Step::Rz(1, n(1.0)), cx];
        assert_eq!(simplified(blocked.clone()), blocked);
    }

    #[test]
    fn two_cz_leave_only_z() {
        let cz = Step::Zz(0, 1, Affine::constant(FRAC_PI_2));
        let z = |q| Step::Rz(q, Affine::constant(PI));
        assert_eq!(simplified(vec![cz.clone(), cz.clone()]), [z(0), z(1)]);
        assert_eq!(simplified(vec![cz; 4]), []);
    }

    #[test]
    fn angles_of_inputs_add_up() {
        let ry = |t| Step::Ry(3, t);
        let sum = simplified(vec![
            ry(Affine::parameter(2)),
            ry(Affine::constant(1.0)),
            ry(Affine::parameter(2)),
        ]);
        let [Step::Ry(3, t)] = &sum[..] else { panic!("{sum:?}") };
        assert!((t.value(&[0.0, 0.0, 0.25]) - 1.5).abs() < 1e-15);
    }
}

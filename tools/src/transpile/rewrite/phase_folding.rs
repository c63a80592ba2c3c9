//! Puts each ZZ phase where its parity already stands on one wire of a CX block: there it is an RZ.
//!
//! A Z word passes RZ, ZZ and the RY of other qubits unchanged, changes sign at an X, and at a CX
//! takes up or drops the control. So it can be followed to every place in its block.

use crate::transpile::ir::{Step, merged};
use qdllm_runtime::circuit::affine::Affine;

/// Moves what can be moved; returns the number of ZZ phases that became RZ or met another.
pub fn fold(steps: &mut Vec<Step>) -> usize {
    let mut folded = 0;
    let mut i = 0;
    while i < steps.len() {
        if let Step::Zz(a, b, angle) = steps[i].clone()
            && let Some(place) = free_place(steps, i, 1 << a | 1 << b)
        {
            folded += 1;
            let sign = if place.negated { -1.0 } else { 1.0 };
            put(steps, i, &place, angle.scaled(sign));
            // What stood before `i` may have moved by one; all of it has been looked at.
            continue;
        }
        i += 1;
    }
    folded
}

struct Place {
    /// Before this step (of the list that still holds the phase).
    at: usize,
    /// The word there: one qubit, or the pair of the ZZ that stands at `at`.
    mask: u16,
    negated: bool,
}

fn put(steps: &mut Vec<Step>, from: usize, place: &Place, angle: Affine) {
    let a = place.mask.trailing_zeros() as u8;
    let b = 15 - place.mask.leading_zeros() as u8;
    // Where it is once the phase has been taken out.
    let at = if place.at > from { place.at - 1 } else { place.at };
    if a == b {
        steps.remove(from);
        steps.insert(at, Step::Rz(a, angle));
    } else if let Some(sum) = merged(&steps[place.at], &Step::Zz(a, b, angle)) {
        steps.remove(from);
        steps.splice(at..=at, sum);
    }
}

/// The nearest place where `mask`, the word of the phase at `from`, is one qubit or another ZZ's word.
fn free_place(steps: &[Step], from: usize, mask: u16) -> Option<Place> {
    let found = |at: usize, mask: u16, negated: bool| {
        let at_zz = matches!(steps.get(at), Some(Step::Zz(a, b, _)) if mask == 1 << a | 1 << b);
        (mask.count_ones() == 1 || at_zz).then_some(Place { at, mask, negated })
    };
    let (mut m, mut negated) = (mask, false);
    for at in (0..from).rev() {
        let place = pass(&steps[at], &mut m, &mut negated).then(|| found(at, m, negated));
        match place {
            None => break,
            Some(None) => {}
            Some(place) => return place,
        }
    }
    let (mut m, mut negated) = (mask, false);
    // The end of the circuit counts as a place too.
    for at in from + 1..=steps.len() {
        let place = found(at, m, negated);
        if place.is_some() || !steps.get(at).is_some_and(|s| pass(s, &mut m, &mut negated)) {
            return place;
        }
    }
    None
}

/// Takes a word to the other side of a step, in either direction; false where it cannot go.
fn pass(step: &Step, mask: &mut u16, negated: &mut bool) -> bool {
    match *step {
        Step::Rz(..) | Step::Zz(..) => true,
        Step::Ry(q, _) => *mask >> q & 1 == 0,
        Step::X(q) => {
            *negated ^= *mask >> q & 1 == 1;
            true
        }
        Step::Cx(c, t) => {
            *mask ^= (*mask >> t & 1) << c;
            true
        }
        Step::ZzProduct(a, b, _) | Step::Swap(a, b) => *mask & (1 << a | 1 << b) == 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parity_that_stands_on_a_wire_is_used_there() {
        let t = || Affine::constant(0.5);
        // Between the two CX wire 1 holds x0 + x1, which after them is the word of both wires.
        let mut steps =
            vec![Step::Cx(0, 1), Step::X(1), Step::Cx(0, 1), Step::Ry(2, t()), Step::Zz(0, 1, t())];
        assert_eq!(fold(&mut steps), 1);
        assert_eq!(steps.iter().filter(|s| s.pair().is_some()).count(), 2);
        // Right before the last CX, behind the X: the sign has not changed.
        assert_eq!(steps[2], Step::Rz(1, t()));
    }

    #[test]
    fn a_rotation_of_the_word_stops_it() {
        let t = || Affine::constant(0.5);
        let mut steps =
            vec![Step::Cx(0, 1), Step::Ry(1, t()), Step::Zz(0, 1, t()), Step::Ry(0, t())];
        let before = steps.clone();
        assert_eq!(fold(&mut steps), 0);
        assert_eq!(steps, before);
    }

    #[test]
    fn equal_words_meet_in_one_phase() {
        let t = || Affine::constant(0.5);
        // x0 + x1 becomes x0 + x2 by CX(1, 2) CX(2, 1): another pair of wires, one parity.
        let mut steps = vec![
            Step::Zz(0, 1, t()),
            Step::Cx(1, 2),
            Step::Cx(2, 1),
            Step::Cx(1, 2),
            Step::Zz(0, 2, t()),
        ];
        assert_eq!(fold(&mut steps), 1);
        assert_eq!(steps.iter().filter(|s| matches!(s, Step::Zz(..))).count(), 1);
    }
}

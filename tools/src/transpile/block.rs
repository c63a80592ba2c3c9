//! Two-qubit blocks taken whole: what happens on one pair of qubits is one matrix, made again from
//! the fewest CZ. Blocks are found across what commutes.
//!
//! Any block takes at most 3 CZ; at most 2 where one qubit is still |0> or where only the measurement
//! follows, at most 1 where both are still |0>. Facts: Vatan and Williams 2004, Shende, Bullock and Markov
//! 2004; every result is multiplied out and compared before it is used.

use crate::transpile::ir::Fence;
use crate::transpile::synthesis::{
    Element, Side, begun, cz_count, fewest, matrix_of, prepared, up_to_phase,
};

/// The same measured outcomes from the fewest CZ that blocks allow: qubits start in |0>, and those of
/// `measured` are measured at the end, others are not looked at.
pub fn merged(elements: Vec<Element>, measured: &[u8]) -> Vec<Element> {
    let mut best = trimmed(elements, measured);
    loop {
        let next = trimmed(remade(&blocks(&best)), measured);
        if cz_count(&next) >= cz_count(&best) {
            return best;
        }
        best = next;
    }
}

/// Without what no measurement sees: diagonals before it, and gates on qubits that nothing reads.
fn trimmed(mut elements: Vec<Element>, measured: &[u8]) -> Vec<Element> {
    let (mut seen, mut turned) = ([false; 256], [false; 256]);
    measured.iter().for_each(|&q| seen[q as usize] = true);
    elements.reverse();
    elements.retain(|element| match *element {
        Element::One(q, m) => {
            let q = q as usize;
            let keep = seen[q] && (turned[q] || !m.is_diagonal());
            turned[q] |= keep && !m.is_diagonal();
            keep
        }
        Element::Cz(a, b) => {
            let (a, b) = (a as usize, b as usize);
            let keep = (turned[a] || turned[b]) && (seen[a] || seen[b]);
            seen[a] |= keep;
            seen[b] |= keep;
            keep
        }
        Element::Fence(fence) => {
            for q in fence.qubits() {
                (seen[q as usize], turned[q as usize]) = (true, true);
            }
            true
        }
    });
    elements.reverse();
    elements
}

struct Node {
    /// The second is `None` for one qubit; of a fence they say nothing.
    qubits: (u8, Option<u8>),
    elements: Vec<Element>,
}

impl Node {
    fn fence(&self) -> Option<Fence> {
        if let Some(&Element::Fence(fence)) = self.elements.first() { Some(fence) } else { None }
    }

    fn touches(&self, q: u8) -> bool {
        let own = || self.qubits.0 == q || self.qubits.1 == Some(q);
        self.fence().map_or_else(own, |fence| fence.has(q))
    }

    fn is_pair(&self, a: u8, b: u8) -> bool {
        self.qubits == (a, Some(b)) || self.qubits == (b, Some(a))
    }

    /// Whether it is diagonal on `q` whatever it is elsewhere.
    fn diagonal_on(&self, q: u8) -> bool {
        let turns = |e: &Element| match e {
            Element::One(p, m) => *p == q && !m.is_diagonal(),
            Element::Cz(..) => false,
            Element::Fence(fence) => fence.has(q),
        };
        !self.elements.iter().any(turns)
    }

    fn push(&mut self, element: Element) {
        if let (Element::One(q, m), Some(Element::One(p, last))) =
            (element, self.elements.iter_mut().rfind(|e| acts_on(e, element)))
            && *p == q
        {
            *last = last.then(&m);
            return;
        }
        self.elements.push(element);
    }
}

fn acts_on(element: &Element, other: Element) -> bool {
    match other {
        Element::One(q, _) => element.touches(q),
        Element::Cz(a, b) => element.touches(a) || element.touches(b),
        Element::Fence(fence) => fence.qubits().any(|q| element.touches(q)),
    }
}

/// The circuit as stretches: each CZ joins an earlier stretch on its pair if all between is diagonal
/// where they meet.
fn blocks(elements: &[Element]) -> Vec<Node> {
    let mut nodes: Vec<Node> = Vec::new();
    for &element in elements {
        match element {
            Element::One(q, _) => match nodes.iter_mut().rfind(|n| n.touches(q)) {
                Some(node) if node.fence().is_none() => node.push(element),
                _ => nodes.push(Node { qubits: (q, None), elements: vec![element] }),
            },
            Element::Fence(_) => nodes.push(Node { qubits: (0, None), elements: vec![element] }),
            Element::Cz(a, b) => {
                let blocks = |n: &Node| [a, b].iter().any(|&q| n.touches(q) && !n.diagonal_on(q));
                let last = nodes.iter_mut().rfind(|n| n.is_pair(a, b) || blocks(n));
                match last.filter(|n| n.is_pair(a, b)) {
                    Some(home) => home.push(element),
                    None => {
                        let mut block = Node { qubits: (a, Some(b)), elements: Vec::new() };
                        // What a qubit did alone before its first CZ, or since a fence, belongs to that block.
                        for q in [a, b] {
                            let alone = |n: &Node| n.qubits == (q, None) && n.fence().is_none();
                            let last = nodes.iter().rposition(|n| n.touches(q));
                            if let Some(i) = last.filter(|&i| alone(&nodes[i])) {
                                block.elements.extend(nodes.remove(i).elements);
                            }
                        }
                        block.push(element);
                        nodes.push(block);
                    }
                }
            }
        }
    }
    nodes
}

/// The circuit again, each block with fewer CZ where that can be.
fn remade(nodes: &[Node]) -> Vec<Element> {
    let mut first = [true; 256];
    let mut out = Vec::new();
    for (i, node) in nodes.iter().enumerate() {
        let (a, Some(b)) = node.qubits else {
            let fenced = node.fence().into_iter().flat_map(Fence::qubits);
            fenced.for_each(|q| first[q as usize] = false);
            out.extend(&node.elements);
            continue;
        };
        let last = !nodes[i + 1..].iter().any(|n| n.touches(a) || n.touches(b));
        let fresh = [a, b].map(|q| std::mem::replace(&mut first[q as usize], false));
        let back = |element: Element| match element {
            Element::One(0, m) => Element::One(a, m),
            Element::One(_, m) => Element::One(b, m),
            _ => Element::Cz(a, b),
        };
        match shorter(node, a, fresh, last) {
            Some(elements) => out.extend(elements.into_iter().map(back)),
            None => out.extend(&node.elements),
        }
    }
    out
}

/// Elements on qubits 0 and 1 that replace a block on (`a`, the other), if they have fewer CZ.
fn shorter(node: &Node, a: u8, fresh: [bool; 2], last: bool) -> Option<Vec<Element>> {
    let count = cz_count(&node.elements);
    if count < 2 && !last && fresh == [false, false] {
        return None;
    }
    let local = |e: &Element| match *e {
        Element::One(q, m) => Element::One(u8::from(q != a), m),
        _ => Element::Cz(0, 1),
    };
    let unitary = matrix_of(&node.elements.iter().map(local).collect::<Vec<_>>());
    let found = match fresh {
        [true, true] => prepared(&unitary),
        [true, false] => begun(&unitary, 0),
        [false, true] => begun(&unitary, 1),
        [false, false] => fewest(&unitary),
    };
    // Only measurements follow the last, and they see no phase.
    let last = last.then(|| up_to_phase(&unitary, Side::After)).flatten();
    let both = found.into_iter().chain(last.map(|(elements, _)| elements));
    let best = both.min_by_key(|e| cz_count(e))?;
    (cz_count(&best) < count).then_some(best)
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::matrix::Matrix;
    use crate::statevector::StateVector;
    use qdllm_runtime::circuit::gate::{Gate, GateKind};
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    /// Probabilities of the outcomes of all qubits below `n`.
    pub fn probabilities(elements: &[Element], n: u8) -> Vec<f64> {
        let mut state = StateVector::zero(n.into());
        for element in elements {
            match *element {
                Element::One(q, m) => state.apply(q.into(), &m),
                Element::Cz(a, b) => {
                    state.gate(&Gate::fixed(GateKind::Cz, a, b), [a.into(), b.into()]);
                }
                Element::Fence(_) => {}
            }
        }
        state.weights().collect()
    }

    fn random(rng: &mut ChaCha8Rng) -> Matrix {
        let kind = [GateKind::Ry, GateKind::Rz, GateKind::U][rng.random_range(0..3)];
        let angles = [0.0; 3].map(|_: f64| rng.random_range(-3.0..3.0));
        Matrix::of(kind, angles).unwrap()
    }

    #[test]
    fn outcomes_stay_and_cz_never_become_more() {
        let mut rng = ChaCha8Rng::seed_from_u64(8);
        let mut saved = 0;
        for _ in 0..200 {
            let n = rng.random_range(2..=4_u8);
            let mut circuit = Vec::new();
            for _ in 0..rng.random_range(1..40) {
                let (a, b) = (rng.random_range(0..n), rng.random_range(0..n));
                circuit.push(if a == b {
                    Element::One(a, random(&mut rng))
                } else {
                    Element::Cz(a, b)
                });
            }
            let measured: Vec<u8> = (0..n).filter(|_| rng.random_range(0..4) > 0).collect();
            let short = merged(circuit.clone(), &measured);
            assert!(cz_count(&short) <= cz_count(&circuit));
            saved += cz_count(&circuit) - cz_count(&short);
            let mask = measured.iter().fold(0, |m, q| m | 1_usize << q);
            let seen = |elements: &[Element]| {
                let mut all = vec![0.0; 1 << n];
                let p = probabilities(elements, n);
                p.iter().enumerate().for_each(|(x, p)| all[x & mask] += p);
                all
            };
            for (x, (p, q)) in seen(&circuit).iter().zip(seen(&short)).enumerate() {
                assert!((p - q).abs() < 1e-9, "outcome {x}: {p} and {q} of {circuit:?}");
            }
        }
        assert!(saved > 1000, "{saved}");
    }

    #[test]
    fn cz_meet_across_what_commutes() {
        let turn = |q| Element::One(q, Matrix::rotation(GateKind::Ry, 0.7));
        let phase = |q| Element::One(q, Matrix::rotation(GateKind::Rz, 0.4));
        let start: Vec<Element> = (0..3).map(turn).collect();
        let middle = [Element::Cz(0, 1), phase(0), Element::Cz(0, 2), Element::Cz(0, 1)];
        let circuit: Vec<Element> =
            start.iter().copied().chain(middle).chain((0..3).map(turn)).collect();
        assert_eq!(cz_count(&merged(circuit, &[0, 1, 2])), 1);
    }
}

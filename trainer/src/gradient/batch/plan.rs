//! A fused circuit with its angles filled in, arranged for batches: two small factors, their outer
//! product, then passes of diagonal, index map and rotations.
//!
//! The encoder's product state, the first diagonal and the rotations after it never need the whole
//! state: cut the qubits in two halves, and where every phase across the cut has the same word on the
//! low side, the state is `sum_b L_b (x) R_b` over the two parities `b` of that word. Everything that
//! is shared by the samples - factors of diagonals, index maps, tangents - is tabulated here once.

use super::trig::circle;
use qdllm_runtime::circuit::affine::Affine;
use qdllm_runtime::circuit::fuse::{Fused, FusedOp};
use qdllm_runtime::circuit::index_map::{IndexMap, parity};
use qdllm_runtime::state::kernels::walsh;
use std::f64::consts::PI;

/// Fewest qubits a state is held with: read-outs work on 16 indices at a time.
const LEAST: usize = 4;

/// A plan for one set of angles.
pub(crate) struct Plan {
    pub inputs: usize,
    /// Qubits of the state; those beyond the inputs stay |0>.
    pub qubits: usize,
    pub cut: usize,
    pub low: Factor,
    pub high: Factor,
    /// The first takes its amplitudes from the outer product of the factors.
    pub moves: Vec<Move>,
    pub words: Vec<(usize, bool)>,
    /// For each 16 indices the sign with which each word's part of their sum counts.
    pub signs: Vec<f32>,
    pub angles: usize,
    /// Phases that couple the factors: (word on the low side - always the same -, on the high side, slot).
    pub crossing: Vec<Term>,
}

/// A phase: its word before the index maps of its pass, whether they negate it, its angle's slot.
#[derive(Clone, Copy)]
pub(crate) struct Term {
    pub mask: usize,
    pub negated: bool,
    pub slot: usize,
}

pub(crate) struct Factor {
    pub qubits: usize,
    /// For each bond the factor (real, imaginary) of each index; 0 where the bond excludes it.
    pub tables: Vec<Vec<[f32; 2]>>,
    /// The product state's index for index `x` is `x ^ flip`.
    pub flip: usize,
    pub turns: Vec<Turn>,
    pub terms: Vec<Term>,
}

/// An RY in tangent form: `a' = a - t b`, `b' = b + t a`, |t| <= 1; the cosine is in a table before it.
#[derive(Clone, Copy)]
pub(crate) struct Turn {
    pub qubit: usize,
    pub tangent: f32,
    pub slot: usize,
}

/// Diagonal and index map in one pass, then rotations.
pub(crate) struct Move {
    /// Factor (real, imaginary) of each target index.
    pub factors: Vec<[f32; 2]>,
    pub from: Vec<u16>,
    pub turns: Vec<Turn>,
    pub terms: Vec<Term>,
}

/// Rotations in tangent form with what they ask of the table before them.
struct Turned {
    turns: Vec<Turn>,
    flip: usize,
    scale: f64,
}

impl Turned {
    fn new(rotations: &[(usize, f64, usize)]) -> Self {
        let mut all = Self { turns: Vec::new(), flip: 0, scale: 1.0 };
        for &(qubit, angle, slot) in rotations {
            // RY(a) = RY(a - k pi) RY(k pi) up to sign, and RY(pi) only moves indices and signs.
            let half_turns = (angle / PI).round();
            let rest = (angle - half_turns * PI) / 2.0;
            if half_turns.rem_euclid(2.0) != 0.0 {
                all.flip |= 1 << qubit;
            }
            all.scale *= rest.cos();
            all.turns.push(Turn { qubit, tangent: rest.tan() as f32, slot });
        }
        all.turns.sort_by_key(|t| t.qubit);
        all
    }

    /// RY(pi) takes |0> to |1> and |1> to -|0>: the sign at target `y`, times the scale.
    fn weight(&self, y: usize) -> f64 {
        if (!y & self.flip).count_ones() % 2 == 1 { -self.scale } else { self.scale }
    }
}

impl Plan {
    pub fn new(circuit: &Fused, parameters: &[f64]) -> Self {
        let inputs = circuit.qubits as usize;
        let qubits = inputs.max(LEAST);
        let cut = qubits.div_ceil(2);
        let mut steps = Steps { ops: &circuit.ops, parameters, slot: 0 };
        let (phases, rotations) = steps.opening(cut);
        let below = (1 << cut) - 1;
        let (mut low, mut high, mut across) = (Vec::new(), Vec::new(), Vec::new());
        for phase in phases {
            match (phase.term.mask & below, phase.term.mask >> cut) {
                (_, 0) => low.push(phase),
                (0, _) => high.push(phase),
                _ => across.push(phase),
            }
        }
        let word = across.first().map(|p: &Phase| p.term.mask & below);
        high.iter_mut().chain(&mut across).for_each(|p| p.term.mask >>= cut);
        let (below_turns, mut above_turns): (Vec<_>, Vec<_>) =
            rotations.into_iter().partition(|&(qubit, ..)| qubit < cut);
        above_turns.iter_mut().for_each(|turn| turn.0 -= cut);
        let (low, high) = (
            Half { qubits: cut, phases: low, turned: Turned::new(&below_turns) },
            Half { qubits: qubits - cut, phases: high, turned: Turned::new(&above_turns) },
        );
        let (low_tables, high_tables) = match word {
            None => (vec![low.table(&[], 1.0, |_| true)], vec![high.table(&[], 1.0, |_| true)]),
            Some(word) => [false, true]
                .map(|bond| {
                    let sign = if bond { -1.0 } else { 1.0 };
                    let kept = |x: usize| parity((x & word) as u16) == bond;
                    (low.table(&[], 1.0, kept), high.table(&across, sign, |_| true))
                })
                .into_iter()
                .unzip(),
        };
        let mut moves = vec![steps.next_move(qubits)];
        while !steps.ops.is_empty() {
            moves.push(steps.next_move(qubits));
        }
        let signs = (0..1 << qubits).step_by(1 << LEAST).flat_map(|start| {
            let of = move |&(mask, negated): &(u16, bool)| {
                let odd = parity(mask >> LEAST << LEAST & start);
                if odd == negated { 1.0 } else { -1.0 }
            };
            circuit.outputs.iter().map(of)
        });
        Self {
            inputs,
            qubits,
            cut,
            signs: signs.collect(),
            low: low.factor(low_tables),
            high: high.factor(high_tables),
            moves,
            words: circuit.outputs.iter().map(|&(m, negated)| (m as usize, negated)).collect(),
            angles: circuit.angles(),
            crossing: across.iter().map(|p| p.term).collect(),
        }
    }

    /// Arithmetic a sample, counted by the loops of the two passes.
    pub fn operations(&self, gradients: bool) -> usize {
        let (dim, bonds, words) = (1 << self.qubits, self.low.tables.len(), self.words.len());
        let factor = |f: &Factor| {
            let forward = 2 + bonds * (2 + 2 * f.turns.len());
            let backward = bonds * (4 + 4 * f.turns.len()) + f.qubits;
            (forward + if gradients { backward } else { 0 }) << f.qubits
        };
        // Sixteen indices are transformed at a time: 4 additions an index.
        let ends = dim * 6 + dim / 16 * words;
        let moves: usize = self
            .moves
            .iter()
            .map(|step| {
                let phases = if step.terms.is_empty() { 0 } else { 2 };
                let backward = 4 + phases + 4 * step.turns.len();
                dim * (4 + 2 * step.turns.len() + if gradients { backward } else { 0 })
            })
            .sum();
        let outer = 4 * bonds * dim;
        let contraction = if gradients { 8 * bonds * dim } else { 0 };
        let ends = if gradients { 2 * ends } else { ends };
        factor(&self.low) + factor(&self.high) + outer + contraction + moves + ends
    }
}

/// A phase with its angle filled in.
#[derive(Clone, Copy)]
struct Phase {
    term: Term,
    angle: f64,
}

/// `exp(-i/2 sum_k angle_k (-1)^parity(mask_k & x))` for every `x`.
fn diagonal(qubits: usize, phases: impl Iterator<Item = (usize, f64)>) -> Vec<[f32; 2]> {
    let mut sums = vec![0.0_f64; 1 << qubits];
    for (mask, angle) in phases {
        sums[mask] -= angle / 2.0;
    }
    walsh(&mut sums);
    sums.into_iter().map(circle).collect()
}

struct Half {
    qubits: usize,
    phases: Vec<Phase>,
    turned: Turned,
}

impl Half {
    /// The table of a bond: own phases, those across with a sign, the encoder's powers of -i, and what
    /// the rotations ask for.
    fn table(&self, across: &[Phase], sign: f64, kept: impl Fn(usize) -> bool) -> Vec<[f32; 2]> {
        let own = self.phases.iter().map(|p| (p.term.mask, p.angle));
        let phases =
            diagonal(self.qubits, own.chain(across.iter().map(|p| (p.term.mask, sign * p.angle))));
        (0..1 << self.qubits)
            .map(|y| {
                let x = y ^ self.turned.flip;
                if !kept(x) {
                    return [0.0; 2];
                }
                let w = self.turned.weight(y) as f32;
                let [re, im] = phases[x];
                match x.count_ones() % 4 {
                    0 => [w * re, w * im],
                    1 => [w * im, -w * re],
                    2 => [-w * re, -w * im],
                    _ => [-w * im, w * re],
                }
            })
            .collect()
    }

    fn factor(self, tables: Vec<Vec<[f32; 2]>>) -> Factor {
        Factor {
            qubits: self.qubits,
            tables,
            flip: self.turned.flip,
            turns: self.turned.turns,
            terms: self.phases.iter().map(|p| p.term).collect(),
        }
    }
}

/// The steps of the circuit that are not yet planned, and the slot of their first angle.
#[derive(Clone, Copy)]
struct Steps<'c> {
    ops: &'c [FusedOp],
    parameters: &'c [f64],
    slot: usize,
}

impl Steps<'_> {
    /// Takes the first diagonal and the rotations after it if the factors can absorb them.
    fn opening(&mut self, cut: usize) -> (Vec<Phase>, Vec<(usize, f64, usize)>) {
        let before = *self;
        let mut phases = Vec::new();
        if let [FusedOp::Phases(terms), rest @ ..] = self.ops {
            phases.extend(self.phases(terms, &IndexMap::IDENTITY));
            self.ops = rest;
        }
        let below = (1 << cut) - 1;
        let mut across =
            phases.iter().map(|p| p.term.mask).filter(|m| m & below != 0 && m >> cut != 0);
        let first = across.next();
        if across.any(|m| first.is_some_and(|f| f & below != m & below)) {
            *self = before;
            return (Vec::new(), Vec::new());
        }
        (phases, self.rotations())
    }

    /// Phases by their words before `map`.
    fn phases(&mut self, terms: &[(u16, Affine)], map: &IndexMap) -> Vec<Phase> {
        let mut phase = |(mask, angle): &(u16, Affine)| {
            let (mask, negated) = map.pull_mask(*mask);
            self.slot += 1;
            let (angle, slot) = (angle.value(self.parameters), self.slot - 1);
            Phase { term: Term { mask: mask as usize, negated, slot }, angle }
        };
        terms.iter().map(&mut phase).collect()
    }

    /// Takes rotations as (qubit, angle, slot), each qubit once.
    fn rotations(&mut self) -> Vec<(usize, f64, usize)> {
        let (mut rotations, mut turned) = (Vec::new(), 0_u16);
        while let [FusedOp::Ry(q, angle), rest @ ..] = self.ops {
            if turned >> q & 1 == 1 {
                break;
            }
            turned |= 1 << q;
            rotations.push((*q as usize, angle.value(self.parameters), self.slot));
            self.slot += 1;
            self.ops = rest;
        }
        rotations
    }

    /// Takes diagonals and index maps, then rotations.
    fn next_move(&mut self, qubits: usize) -> Move {
        let (mut phases, mut map) = (Vec::new(), IndexMap::IDENTITY);
        loop {
            match self.ops {
                [FusedOp::Phases(terms), rest @ ..] => {
                    phases.extend(self.phases(terms, &map));
                    self.ops = rest;
                }
                [FusedOp::IndexMap(next), rest @ ..] => {
                    map = map.then(next);
                    self.ops = rest;
                }
                _ => break,
            }
        }
        let turned = Turned::new(&self.rotations());
        let signed =
            phases.iter().map(|p| (p.term.mask, if p.term.negated { -p.angle } else { p.angle }));
        let diagonal = diagonal(qubits, signed);
        let mut target = Move {
            factors: vec![[0.0; 2]; 1 << qubits],
            from: vec![0; 1 << qubits],
            turns: turned.turns.clone(),
            terms: phases.iter().map(|p| p.term).collect(),
        };
        for (x, [re, im]) in diagonal.into_iter().enumerate() {
            let y = map.apply(x as u16) as usize ^ turned.flip;
            let w = turned.weight(y) as f32;
            target.factors[y] = [w * re, w * im];
            target.from[y] = x as u16;
        }
        target
    }
}

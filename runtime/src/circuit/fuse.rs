//! Merges a circuit exactly: any sequence of gates of the table becomes diagonals, RY rotations and
//! index maps, and what stands before a Z read-out without effect disappears.
//!
//! Every gate is, up to a global phase, made of three kinds of step: a phase of a Z word, an RY and
//! an affine map of basis indices (CX, SWAP, X). Phases move back through index maps and past RY on
//! other qubits until they meet another diagonal; rotations of one qubit meet likewise; index maps
//! compose; trailing phases vanish and trailing maps turn read-outs into other Z words. Angles stay
//! symbolic - affine in the trainable parameters - so one fused circuit serves every set of angles
//! and gradients flow back to the named ones.

use crate::circuit::QUBITS;
use crate::circuit::affine::Affine;
use crate::circuit::gate::{Angle, Gate, GateKind};
use crate::circuit::index_map::IndexMap;
use crate::circuit::lowering::{Step, lower};
use alloc::vec::Vec;

/// One step of a fused circuit.
#[derive(Clone, Debug, PartialEq)]
pub enum FusedOp {
    /// Phases `exp(-i/2 angle (-1)^parity(mask & x))`, each mask once.
    Phases(Vec<(u16, Affine)>),
    /// RY on a qubit.
    Ry(u8, Affine),
    /// An index map.
    IndexMap(IndexMap),
}

/// A circuit after fusion: encoder RX on every qubit, then `ops`, then Z words.
#[derive(Clone, Debug, PartialEq)]
pub struct Fused {
    /// Qubits, each with one encoder input.
    pub qubits: u8,
    /// Steps in the order of execution.
    pub ops: Vec<FusedOp>,
    /// Z words read at the end: (mask of qubits, negated).
    pub outputs: Vec<(u16, bool)>,
}

/// Why a circuit cannot be fused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FuseError {
    /// A gate (by its place in the circuit) names a qubit that the circuit does not have, or one twice.
    BadQubit(usize),
    /// More than 11 qubits, or none.
    QubitCount(u8),
    /// A gate other than the encoder's RX of input `q` on qubit `q`, first on its qubit, uses an input.
    InputOutsideEncoder(usize),
    /// This qubit has no encoder gate.
    NoEncoder(u8),
}

impl core::fmt::Display for FuseError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::BadQubit(i) => write!(f, "gate {i} names a qubit that is absent or given twice"),
            Self::QubitCount(n) => write!(f, "{n} qubits; a circuit has 1 to {QUBITS}"),
            Self::InputOutsideEncoder(i) => {
                write!(f, "gate {i} takes an input but is not the first RX on its qubit")
            }
            Self::NoEncoder(q) => write!(f, "qubit {q} has no encoder RX"),
        }
    }
}

impl core::error::Error for FuseError {}

impl Fused {
    /// Fuses `gates` on `qubits` qubits, read by Z words `readouts` (masks of qubits).
    ///
    /// # Errors
    /// [`FuseError`] where the circuit does not begin with its encoder or names absent qubits.
    pub fn new(
        gates: impl Iterator<Item = Gate>,
        qubits: u8,
        readouts: &[u16],
    ) -> Result<Self, FuseError> {
        if qubits == 0 || qubits as usize > QUBITS {
            return Err(FuseError::QubitCount(qubits));
        }
        let mut fuser = Fuser::default();
        let (mut encoded, mut touched) = (0_u16, 0_u16);
        for (i, gate) in gates.enumerate() {
            let [a, b] = gate.qubits;
            let arity = gate.kind.info().qubits;
            if a >= qubits || (arity == 2 && (b >= qubits || a == b)) {
                return Err(FuseError::BadQubit(i));
            }
            let angles = &gate.angles[..gate.kind.info().angles];
            if angles.iter().any(|angle| matches!(angle, Angle::Input(_))) {
                let fresh = touched >> a & 1 == 0;
                if gate.kind != GateKind::Rx || angles != [Angle::Input(a)] || !fresh {
                    return Err(FuseError::InputOutsideEncoder(i));
                }
                encoded |= 1 << a;
            } else {
                fuser.gate(&gate);
            }
            touched |= 1 << a | if arity == 2 { 1 << b } else { 0 };
        }
        if let Some(q) = (0..qubits).find(|q| encoded >> q & 1 == 0) {
            return Err(FuseError::NoEncoder(q));
        }
        let mut fused = Self {
            qubits,
            ops: fuser.ops,
            outputs: readouts.iter().map(|&mask| (mask, false)).collect(),
        };
        fused.sink_phases();
        fused.absorb_end();
        fused.raise_phases();
        Ok(fused)
    }

    /// The same circuit where parameter `i` is itself the angle `angles[i]`.
    #[must_use]
    pub fn substituted(mut self, angles: &[Affine]) -> Self {
        for op in &mut self.ops {
            match op {
                FusedOp::Phases(terms) => {
                    terms.iter_mut().for_each(|(_, a)| *a = a.substituted(angles));
                }
                FusedOp::Ry(_, a) => *a = a.substituted(angles),
                FusedOp::IndexMap(_) => {}
            }
        }
        self.drop_empty();
        self
    }

    /// Angles of the fused circuit: one a phase, one an RY.
    pub fn angles(&self) -> usize {
        self.ops
            .iter()
            .map(|op| match op {
                FusedOp::Phases(terms) => terms.len(),
                FusedOp::Ry(..) => 1,
                FusedOp::IndexMap(_) => 0,
            })
            .sum()
    }

    /// Moves each phase to the last diagonal that it can reach, and drops those that reach the end.
    fn sink_phases(&mut self) {
        for from in (0..self.ops.len()).rev() {
            let FusedOp::Phases(terms) = &mut self.ops[from] else {
                continue;
            };
            for (mask, angle) in core::mem::take(terms) {
                let (mut m, mut a, mut home) = (mask, angle, from);
                let mut arrived = (m, a.clone());
                let mut at = from + 1;
                while at < self.ops.len() {
                    match &self.ops[at] {
                        FusedOp::Ry(q, _) if m >> q & 1 == 1 => break,
                        FusedOp::Ry(..) => {}
                        FusedOp::Phases(_) => {
                            home = at;
                            arrived = (m, a.clone());
                        }
                        FusedOp::IndexMap(map) => {
                            let Some(back) = map.inverse() else { break };
                            let (pushed, flip) = back.pull_mask(m);
                            m = pushed;
                            a = if flip { a.scaled(-1.0) } else { a };
                        }
                    }
                    at += 1;
                }
                if at < self.ops.len()
                    && let FusedOp::Phases(terms) = &mut self.ops[home]
                {
                    add_phase(terms, arrived.0, arrived.1);
                }
            }
        }
        self.drop_empty();
    }

    /// Turns trailing index maps into other Z words.
    fn absorb_end(&mut self) {
        while let Some(FusedOp::IndexMap(map)) = self.ops.last() {
            for (mask, negated) in &mut self.outputs {
                let (pulled, flip) = map.pull_mask(*mask);
                (*mask, *negated) = (pulled, *negated ^ flip);
            }
            self.ops.pop();
        }
    }

    /// Moves each diagonal before the rotations that it commutes with, so that circuits begin with
    /// their diagonal where they can.
    fn raise_phases(&mut self) {
        for i in 1..self.ops.len() {
            let FusedOp::Phases(terms) = &self.ops[i] else {
                continue;
            };
            let all = terms.iter().fold(0, |all, (mask, _)| all | mask);
            let mut at = i;
            while at > 0 && matches!(&self.ops[at - 1], FusedOp::Ry(q, _) if all >> q & 1 == 0) {
                self.ops.swap(at - 1, at);
                at -= 1;
            }
        }
    }

    fn drop_empty(&mut self) {
        self.ops.retain(|op| match op {
            FusedOp::Phases(terms) => !terms.is_empty(),
            FusedOp::Ry(_, angle) => *angle != Affine::default(),
            FusedOp::IndexMap(map) => *map != IndexMap::IDENTITY,
        });
    }
}

fn add_phase(terms: &mut Vec<(u16, Affine)>, mask: u16, angle: Affine) {
    match terms.iter_mut().find(|(m, _)| *m == mask) {
        Some((_, sum)) => sum.add(angle),
        None => terms.push((mask, angle)),
    }
}

/// Takes gates one by one and keeps the steps merged.
#[derive(Default)]
struct Fuser {
    ops: Vec<FusedOp>,
}

impl Fuser {
    fn gate(&mut self, gate: &Gate) {
        let angle = |angle| match angle {
            Angle::Const(x) => Affine::constant(x),
            Angle::Param(p) => Affine::parameter(p),
            // The caller has taken the encoder's gates out.
            Angle::Input(_) => Affine::default(),
        };
        lower(gate, angle, |step| match step {
            Step::Rz(q, t) => self.phase(1 << q, t),
            Step::Ry(q, t) => self.ry(q, t),
            Step::Rzz(a, b, t) => self.phase(1 << a | 1 << b, t),
            Step::X(q) => self.index_map(&IndexMap::x(q)),
            Step::Cx(c, t) => self.index_map(&IndexMap::cx(c, t)),
            Step::Swap(a, b) => self.index_map(&IndexMap::swap(a, b)),
        });
    }

    /// Adds a phase: into the nearest diagonal that it reaches going back, else at the end.
    fn phase(&mut self, mask: u16, angle: Affine) {
        let (mut m, mut a) = (mask, angle.clone());
        for op in self.ops.iter_mut().rev() {
            match op {
                FusedOp::Phases(terms) => return add_phase(terms, m, a),
                FusedOp::Ry(q, _) if m >> *q & 1 == 1 => break,
                FusedOp::Ry(..) => {}
                FusedOp::IndexMap(map) => {
                    let (pulled, flip) = map.pull_mask(m);
                    m = pulled;
                    a = if flip { a.scaled(-1.0) } else { a };
                }
            }
        }
        self.ops.push(FusedOp::Phases(Vec::from([(mask, angle)])));
    }

    /// Adds an RY: into the last one of its qubit if nothing between touches the qubit.
    fn ry(&mut self, q: u8, angle: Affine) {
        let bit = 1_u16 << q;
        for op in self.ops.iter_mut().rev() {
            match op {
                FusedOp::Ry(other, sum) if *other == q => return sum.add(angle),
                FusedOp::Ry(..) => {}
                FusedOp::Phases(terms) => {
                    if terms.iter().any(|(mask, _)| mask & bit != 0) {
                        break;
                    }
                }
                FusedOp::IndexMap(map) => {
                    let alone = map.columns[q as usize] == bit
                        && map.offset & bit == 0
                        && map.columns.iter().filter(|&c| c & bit != 0).count() == 1;
                    if !alone {
                        break;
                    }
                }
            }
        }
        self.ops.push(FusedOp::Ry(q, angle));
    }

    fn index_map(&mut self, map: &IndexMap) {
        match self.ops.last_mut() {
            Some(FusedOp::IndexMap(last)) => *last = last.then(map),
            _ => self.ops.push(FusedOp::IndexMap(*map)),
        }
    }
}

//! What is to be compiled: gates whose angles are numbers or inputs, and the Z words read at the end.

use crate::circuit::{Circuit, fences_at};
use crate::transpile::ir::{Fence, Step};
use anyhow::{Result, ensure};
use qdllm_runtime::Model;
use qdllm_runtime::circuit::affine::Affine;
use qdllm_runtime::circuit::fuse::Fused;
use qdllm_runtime::circuit::gate::{Angle, Gate, GateKind};
use qdllm_runtime::circuit::index_map::IndexMap;
use qdllm_runtime::circuit::lowering::{Step as Lowered, lower};
use qdllm_runtime::circuit::program::Op as Instruction;
use qdllm_runtime::circuit::{QUBITS, encoder, paper};
use qdllm_runtime::format::meta::Preset;
use serde::Serialize;
use std::f64::consts::PI;

#[derive(Clone, Debug, PartialEq)]
pub struct Source {
    pub qubits: u8,
    pub gates: Vec<Gate>,
    /// As of [`Circuit::barriers`].
    pub barriers: Vec<(usize, Vec<u8>)>,
    /// Z words read at the end: (mask of qubits, negated). Output `i` is bit `i` of a result.
    pub outputs: Vec<(u16, bool)>,
    /// The bit of each output, where the circuit is a file's.
    pub bits: Vec<Bit>,
}

/// A classical bit as the file names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Bit {
    pub register: String,
    pub bit: usize,
}

impl Source {
    /// A circuit with its measurements; output `i` is the `i`-th measured bit in ascending order of
    /// classical bits. Unused qubits are left out.
    pub fn from_circuit(circuit: &Circuit) -> Result<Self> {
        let used = circuit.used();
        let many = used.len();
        ensure!(many <= QUBITS, "{many} qubits are in use; at most {QUBITS} can be compiled");
        ensure!(
            !circuit.measures.is_empty(),
            "the circuit measures nothing; add `measure q -> c;` for what is to be read"
        );
        let place = |q: u8| used.iter().position(|&u| u == q).unwrap_or(0) as u8;
        let gates = circuit.gates.iter().map(|g| Gate { qubits: g.qubits.map(place), ..*g });
        let fence = |(at, on): &(usize, Vec<u8>)| {
            let on: Vec<u8> = on.iter().filter(|q| used.contains(q)).map(|&q| place(q)).collect();
            (!on.is_empty()).then_some((*at, on))
        };
        let barriers = circuit.barriers.iter().filter_map(fence).collect();
        let mut measures = circuit.measures.clone();
        measures.sort_by_key(|m| m.1);
        let outputs = measures.iter().map(|m| (1 << place(m.0), false)).collect();
        let bit = |&(_, bit): &(u8, u8)| {
            let (register, bit) = circuit.bit(bit);
            Bit { register: register.to_owned(), bit }
        };
        let bits = measures.iter().map(bit).collect();
        Ok(Self { qubits: used.len() as u8, gates: gates.collect(), barriers, outputs, bits })
    }

    /// A model's circuit: input `i` is its encoder angle `i`, output `k` its expectation `k`. By its
    /// named gates where the file carries them and they give its program, else by its program.
    pub fn from_model(model: &Model<'_>) -> Self {
        Self::from_named(model).unwrap_or_else(|| Self::from_program(model))
    }

    fn from_named(model: &Model<'_>) -> Option<Self> {
        let gates: Vec<Gate>;
        let readouts: Vec<u16>;
        let mut barriers = Vec::new();
        let (fused, angles, qubits): (_, Vec<f64>, _) = if let Some(named) = model.qasm() {
            let circuit = Circuit::read(named.circuit).ok()?;
            let angles: Vec<f64> = named.angles_rad().map(f64::from).collect();
            let angles = (angles.len() == circuit.names.len()).then(|| circuit.bound(&angles))?;
            (gates, readouts) = (circuit.encoded().collect(), circuit.readouts());
            let front = gates.len() - circuit.gates.len();
            barriers.extend(circuit.barriers.iter().map(|(at, on)| (at + front, on.clone())));
            (circuit.fused().ok()?, angles, circuit.qubits as u8)
        } else {
            let named = model.source()?;
            let Preset::Paper = named.circuit;
            (gates, readouts) = (paper().collect(), (0..QUBITS).map(|q| 1 << q).collect());
            let fused = Fused::new(paper(), QUBITS as u8, &readouts).ok()?;
            (fused, named.angles_rad().map(f64::from).collect(), QUBITS as u8)
        };
        if !fused.outputs.iter().copied().eq(model.program().words()) {
            return None;
        }
        let numbered = |angle: Angle| match angle {
            Angle::Param(p) => angles.get(p as usize).map(|&x| Angle::Const(x)),
            other => Some(other),
        };
        let gates = gates.iter().map(|&g| {
            let [a, b, c] = g.angles.map(numbered);
            Some(Gate { angles: [a?, b?, c?], ..g })
        });
        let outputs = readouts.iter().map(|&m| (m, false)).collect();
        Some(Self {
            qubits,
            gates: gates.collect::<Option<_>>()?,
            barriers,
            outputs,
            bits: Vec::new(),
        })
    }

    /// A model's circuit from its fused program, whose index maps become CX.
    pub fn from_program(model: &Model<'_>) -> Self {
        let program = model.program();
        let qubits = program.qubits() as u8;
        let mut gates: Vec<Gate> = encoder(qubits).collect();
        let constant = |x: f32| Angle::Const(f64::from(x));
        for op in program.ops() {
            match op {
                Instruction::Ry(q, t) => gates.push(Gate::rotation(GateKind::Ry, q, constant(t))),
                Instruction::Phases(terms) => {
                    terms.for_each(|(mask, t)| word_phase(&mut gates, mask, constant(t)));
                }
                Instruction::IndexMap(map) => index_map(&mut gates, &map, qubits),
            }
        }
        Self {
            qubits,
            gates,
            barriers: Vec::new(),
            outputs: program.words().collect(),
            bits: Vec::new(),
        }
    }

    /// The circuit for given inputs (radians), with every qubit measured.
    pub fn with_inputs(&self, inputs: &[f64]) -> Circuit {
        let number = |angle: Angle| match angle {
            Angle::Const(x) => x,
            Angle::Input(i) => inputs.get(i as usize).copied().unwrap_or(0.0),
            Angle::Param(_) => 0.0,
        };
        let bound = |g: &Gate| Gate { angles: g.angles.map(|a| Angle::Const(number(a))), ..*g };
        Circuit {
            qubits: self.qubits as usize,
            bits: self.qubits as usize,
            gates: self.gates.iter().map(bound).collect(),
            barriers: self.barriers.clone(),
            measures: (0..self.qubits).map(|q| (q, q)).collect(),
            ..Circuit::default()
        }
    }

    /// The circuit as steps, exchanges taken out by renaming: qubit `q` of the source ends as qubit
    /// `names[q]` of the steps. What is between barriers stays there, exchanges too; and so that each part is as long
    /// wherever it stands, fences stand at the beginning and at the end as well.
    pub fn steps(&self) -> (Vec<Step>, Vec<u8>) {
        let mut names: Vec<u8> = (0..self.qubits).collect();
        let mut steps = Vec::new();
        let angle = |angle| match angle {
            Angle::Const(x) => Affine::constant(x),
            Angle::Input(i) => Affine::parameter(i.into()),
            Angle::Param(_) => Affine::default(),
        };
        let on = |list: &[u8], shown| Step::Fence(Fence::new(list.iter().copied(), shown));
        let mut fenced: Vec<u8> = self.barriers.iter().flat_map(|b| b.1.iter().copied()).collect();
        fenced.sort_unstable();
        fenced.dedup();
        let edge = (!fenced.is_empty()).then(|| on(&fenced, false));
        steps.extend(edge.clone());
        for (i, gate) in self.gates.iter().enumerate() {
            steps.extend(fences_at(&self.barriers, i).map(|list| on(list, true)));
            if gate.kind == GateKind::Y {
                // One RY in place of the table's Z and X: another order of steps would cost a CZ.
                steps.push(Step::Ry(names[gate.qubits[0] as usize], Affine::constant(PI)));
                continue;
            }
            let renamed = Gate { qubits: gate.qubits.map(|q| names[q as usize]), ..*gate };
            lower(&renamed, angle, |step| {
                steps.push(match step {
                    Lowered::Rz(q, t) => Step::Rz(q, t),
                    Lowered::Ry(q, t) => Step::Ry(q, t),
                    Lowered::Rzz(a, b, t) => Step::Zz(a, b, t),
                    Lowered::X(q) => Step::X(q),
                    Lowered::Cx(a, b) => Step::Cx(a, b),
                    Lowered::Swap(a, b) if [a, b].iter().any(|q| fenced.contains(q)) => {
                        Step::Swap(a, b)
                    }
                    Lowered::Swap(..) => {
                        return names.swap(gate.qubits[0] as usize, gate.qubits[1] as usize);
                    }
                });
            });
        }
        steps.extend(edge);
        (steps, names)
    }
}

/// The encoder angles (radians) that a model gives to a text; an error when it takes vectors.
pub fn inputs_of(model: &Model<'_>, text: &str) -> Result<Vec<f64>> {
    let (mut features, _) = model.text_features(text)?;
    model.meta().squash.apply(&mut features);
    Ok(features.iter().map(|&x| f64::from(x)).collect())
}

/// `exp(-i t/2 Z_mask)` by a ladder of CX.
fn word_phase(gates: &mut Vec<Gate>, mask: u16, angle: Angle) {
    let on: Vec<u8> = (0..QUBITS as u8).filter(|q| mask >> q & 1 == 1).collect();
    match on[..] {
        [] => {}
        [only] => gates.push(Gate::rotation(GateKind::Rz, only, angle)),
        [ref rest @ .., before, last] => {
            let ladder: Vec<Gate> =
                rest.iter().zip(&on[1..]).map(|(&a, &b)| Gate::fixed(GateKind::Cx, a, b)).collect();
            gates.extend(&ladder);
            gates.push(Gate::coupling(GateKind::Rzz, before, last, angle));
            gates.extend(ladder.iter().rev());
        }
    }
}

/// An index map by Gaussian elimination: at most `qubits`^2 CX, then X.
fn index_map(gates: &mut Vec<Gate>, map: &IndexMap, qubits: u8) {
    let n = qubits as usize;
    // rows[i]: which source bits make bit i.
    let row = |i: usize| {
        map.columns.iter().enumerate().fold(0, |row, (j, column)| row | (column >> i & 1) << j)
    };
    let mut rows: Vec<u16> = (0..n).map(row).collect();
    let mut undo = Vec::new();
    for column in 0..n {
        if rows[column] >> column & 1 == 0
            && let Some(pivot) = (column + 1..n).find(|&r| rows[r] >> column & 1 == 1)
        {
            rows[column] ^= rows[pivot];
            undo.push((pivot, column));
        }
        for r in 0..n {
            if r != column && rows[r] >> column & 1 == 1 {
                rows[r] ^= rows[column];
                undo.push((column, r));
            }
        }
    }
    let cx = |&(c, t): &(usize, usize)| Gate::fixed(GateKind::Cx, c as u8, t as u8);
    gates.extend(undo.iter().rev().map(cx));
    let flips = (0..qubits).filter(|q| map.offset >> q & 1 == 1);
    gates.extend(flips.map(|q| Gate::fixed(GateKind::X, q, q)));
}

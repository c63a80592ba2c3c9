//! Circuits as OpenQASM 2 with named angles: a strict reader, a writer, and the way to a fused circuit.
//!
//! Read: one or more `qreg` and `creg`, gates of the table (also `cu1`, `u1`, `u3`, `U`, `CX` and
//! `id`, other names of `cp`, `p`, `u`, `cx` and nothing), `barrier`, `measure` at the end. Anything
//! else is refused with its line. Registers are numbered one after the other in order of declaration.
//!
//! A name in an angle is `pi`, an input of the encoder - `x0` to `x10`, alone in its angle - or else a
//! trainable parameter; angles are affine in parameters (`2*a - b/3 + pi`).

mod expression;
mod parse;

use crate::circuit::affine::Affine;
use crate::circuit::fuse::{FuseError, Fused};
use crate::circuit::gate::{Angle, Gate, GateKind};
use crate::circuit::{QUBITS, encoder};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write as _;

/// Most qubits, and most classical bits, that a file may declare.
pub const MAX_QUBITS: usize = 256;
/// Most parameters, and most different angles made of them.
pub const MAX_NAMED: usize = 4096;

/// The one gate of the table that `qelib1.inc` lacks, defined by gates that it has; written if used.
const RYY: &str = "gate ryy(t) a,b { rx(pi/2) a; rx(pi/2) b; cx a,b; rz(t) b; cx a,b; \
                              rx(-pi/2) a; rx(-pi/2) b; }";

/// What is wrong with a QASM text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QasmError {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong, and what would be right.
    pub what: String,
}

impl core::fmt::Display for QasmError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "line {}: {}", self.line, self.what)
    }
}

impl core::error::Error for QasmError {}

/// A circuit as a file describes it. Two are equal if they describe the same, on whatever lines.
#[derive(Clone, Debug, Default)]
pub struct Circuit {
    /// Size of the quantum registers together.
    pub qubits: usize,
    /// Size of the classical registers together.
    pub bits: usize,
    /// The gates in order of execution; [`Angle::Param`] `i` is `angles[i]`.
    pub gates: Vec<Gate>,
    /// (qubit, classical bit), after all gates.
    pub measures: Vec<(u8, u8)>,
    /// The trainable parameters in order of appearance.
    pub names: Vec<String>,
    /// The different angles that have names in them, affine in the parameters `names`.
    pub angles: Vec<Affine>,
    /// The line of each gate in the text that was read; may be shorter.
    pub lines: Vec<usize>,
}

impl PartialEq for Circuit {
    fn eq(&self, other: &Self) -> bool {
        let sizes = (self.qubits, self.bits) == (other.qubits, other.bits);
        let named = self.names == other.names && self.angles == other.angles;
        sizes && named && self.gates == other.gates && self.measures == other.measures
    }
}

impl Circuit {
    /// The line of a gate in the text that was read; 1 for circuits from elsewhere.
    pub fn line(&self, gate: usize) -> usize {
        self.lines.get(gate).copied().unwrap_or(1)
    }

    /// The qubits that a gate or a measurement names, ascending.
    pub fn used(&self) -> Vec<u8> {
        let gates = self.gates.iter().flat_map(|gate| gate.on().iter().copied());
        let mut used: Vec<u8> = gates.chain(self.measures.iter().map(|m| m.0)).collect();
        used.sort_unstable();
        used.dedup();
        used
    }

    /// What each [`Angle::Param`] is worth for given values of the `names`, radians.
    pub fn bound(&self, named: &[f64]) -> Vec<f64> {
        self.angles.iter().map(|angle| angle.value(named)).collect()
    }

    /// The gates behind an encoder: if no gate takes an input, RX of input `q` on each qubit `q` is put
    /// in front.
    pub fn encoded(&self) -> impl Iterator<Item = Gate> + Clone + '_ {
        encoder(self.missing_encoder()).chain(self.gates.iter().copied())
    }

    /// Qubits that [`encoded`](Self::encoded) gives an encoder gate: all or none.
    #[allow(clippy::cast_possible_truncation)]
    fn missing_encoder(&self) -> u8 {
        let mut angles = self.gates.iter().flat_map(|g| &g.angles[..g.kind.info().angles]);
        let takes = angles.any(|angle| matches!(angle, Angle::Input(_)));
        if takes { 0 } else { self.qubits.min(QUBITS) as u8 }
    }

    /// The Z words that are read: one a measured qubit by ascending classical bit, or, if nothing is
    /// measured, one a qubit.
    pub fn readouts(&self) -> Vec<u16> {
        if self.measures.is_empty() {
            return (0..self.qubits.min(QUBITS)).map(|q| 1 << q).collect();
        }
        let mut by_bit = self.measures.clone();
        by_bit.sort_unstable_by_key(|&(_, bit)| bit);
        by_bit.iter().map(|&(q, _)| 1_u16.checked_shl(u32::from(q)).unwrap_or(0)).collect()
    }

    /// The circuit fused, with its encoder and read-outs; its parameters are the `names`.
    ///
    /// # Errors
    /// [`QasmError`] where it has more than 11 qubits or an encoder that is not RX of input `q` first on
    /// each qubit `q`.
    pub fn fused(&self) -> Result<Fused, QasmError> {
        let error = |line, what| QasmError { line, what };
        let front = self.missing_encoder();
        let line = |gate: usize| self.line(gate.saturating_sub(front as usize));
        if self.qubits > QUBITS {
            let what = format!("the circuit has {} qubits; {QUBITS} can be run", self.qubits);
            return Err(error(1, what));
        }
        #[allow(clippy::cast_possible_truncation)]
        let fused = Fused::new(self.encoded(), self.qubits as u8, &self.readouts());
        let fused = fused.map_err(|e| match e {
            FuseError::InputOutsideEncoder(i) => error(
                line(i),
                "an input stands alone in the first gate of its own qubit: `rx(x0) q[0];`".into(),
            ),
            FuseError::NoEncoder(q) => error(
                1,
                format!("qubit {q} has no `rx(x{q})`; give every qubit its own, or none any"),
            ),
            FuseError::BadQubit(i) => error(line(i), format!("{e}")),
            _ => error(1, format!("{e}")),
        })?;
        Ok(fused.substituted(&self.angles))
    }
}

/// The number of an input's name, if the name is kept for inputs: `x` and digits.
fn input_of(name: &str) -> Option<Result<u8, String>> {
    let digits = name.strip_prefix('x')?;
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let wrong = || format!("`{name}` is not an input; inputs are x0 to x{}", QUBITS - 1);
    let canonical = digits.len() == 1 || !digits.starts_with('0');
    let number = digits.parse().ok().filter(|&i: &u8| canonical && (i as usize) < QUBITS);
    Some(number.ok_or_else(wrong))
}

impl Circuit {
    /// The circuit as QASM, which reads back equal; numbers are the shortest that read back to
    /// themselves. A `barrier` stands before the measurements (compilers that see none have been
    /// observed to move gates past them).
    pub fn write(&self) -> String {
        // Writing into a `String` cannot fail.
        let mut text = String::from("OPENQASM 2.0;\ninclude \"qelib1.inc\";\n");
        if self.gates.iter().any(|gate| gate.kind == GateKind::Ryy) {
            let _ = writeln!(text, "{RYY}");
        }
        let _ = writeln!(text, "qreg q[{}];", self.qubits);
        if self.bits > 0 {
            let _ = writeln!(text, "creg c[{}];", self.bits);
        }
        for gate in &self.gates {
            let info = gate.kind.info();
            text.push_str(info.name);
            if info.angles > 0 {
                let all: Vec<String> =
                    gate.angles[..info.angles].iter().map(|&a| angle(self, a)).collect();
                let _ = write!(text, "({})", all.join(","));
            }
            let _ = writeln!(text, " {};", qubits(gate.on()));
        }
        if !self.measures.is_empty() {
            let _ = writeln!(text, "barrier {};", qubits(&self.used()));
        }
        for (q, c) in &self.measures {
            let _ = writeln!(text, "measure q[{q}] -> c[{c}];");
        }
        text
    }
}

fn qubits(list: &[u8]) -> String {
    let all: Vec<String> = list.iter().map(|q| format!("q[{q}]")).collect();
    all.join(",")
}

fn angle(circuit: &Circuit, angle: Angle) -> String {
    match angle {
        // `{:?}` of f64 is the shortest text that reads back to the same number.
        Angle::Const(x) => format!("{x:?}"),
        Angle::Input(i) => format!("x{i}"),
        Angle::Param(p) => circuit
            .angles
            .get(p as usize)
            .map_or_else(|| "0.0".into(), |affine| sum(affine, &circuit.names)),
    }
}

fn sum(affine: &Affine, names: &[String]) -> String {
    let mut text = String::new();
    for &(p, c) in &affine.terms {
        let name = names.get(p as usize).map_or("", String::as_str);
        let plus = if text.is_empty() || c < 0.0 { "" } else { "+" };
        let _ = if c == 1.0 {
            write!(text, "{plus}{name}")
        } else if c == -1.0 {
            write!(text, "-{name}")
        } else {
            write!(text, "{plus}{c:?}*{name}")
        };
    }
    if affine.constant != 0.0 {
        let plus = if affine.constant < 0.0 { "" } else { "+" };
        let _ = write!(text, "{plus}{:?}", affine.constant);
    }
    text
}

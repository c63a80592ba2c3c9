//! Circuits as OpenQASM 2 or 3 with named angles: a reader, a writer, and the way to a fused circuit.
//!
//! Read: registers, gates of the table and of the library (what `qelib1.inc` and `stdgates.inc` have, in
//! `library.qasm`), gate definitions, barriers, measurements at the end; of OpenQASM 3 also `inv @`,
//! `pow(k) @`, `ctrl @`, `negctrl @` and `gphase`. Definitions come out as gates of the table. Anything
//! else is refused with its line. Registers are numbered one after the other in order of declaration.
//!
//! A name in an angle is a constant such as `pi`, an input of the encoder - `x0` to `x10`, alone in its
//! angle - or else a trainable parameter; angles are affine in parameters (`2*a - b/3 + pi`).

mod call;
mod expand;
mod expression;
mod lexer;
mod parse;
mod write;

pub use write::Form;

use crate::circuit::affine::Affine;
use crate::circuit::fuse::{FuseError, Fused};
use crate::circuit::gate::{Angle, Gate};
use crate::circuit::{QUBITS, encoder};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

/// Most qubits, and most classical bits, that a file may declare.
pub const MAX_QUBITS: usize = 256;
/// Most parameters, and most different angles made of them.
pub const MAX_NAMED: usize = 4096;

/// The gates of `qelib1.inc` and of `stdgates.inc`, one a line, each by gates before it or of the table. They
/// are exact, phase included: a control makes it visible.
const LIBRARY: &str = include_str!("library.qasm");

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
    /// Fences that compilers move nothing past: the number of gates before each, and its qubits. None
    /// stands behind the last gate.
    pub barriers: Vec<(usize, Vec<u8>)>,
    /// (qubit, classical bit), after all gates.
    pub measures: Vec<(u8, u8)>,
    /// The classical registers of the text that was read, name and size; may be absent.
    pub registers: Vec<(String, usize)>,
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
        let fenced = self.gates == other.gates && self.barriers == other.barriers;
        sizes && named && fenced && self.measures == other.measures
    }
}

impl Circuit {
    /// The line of a gate in the text that was read; 1 for circuits from elsewhere.
    pub fn line(&self, gate: usize) -> usize {
        self.lines.get(gate).copied().unwrap_or(1)
    }

    /// The register of a classical bit and its place there, as the text that was read names it.
    pub fn bit(&self, bit: u8) -> (&str, usize) {
        let mut place = bit as usize;
        for (name, size) in &self.registers {
            if place < *size {
                return (name, place);
            }
            place -= size;
        }
        ("c", place)
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

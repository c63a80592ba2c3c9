//! The writer.

use super::Circuit;
use crate::circuit::affine::Affine;
use crate::circuit::gate::{Angle, GateKind};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write as _;

/// The one gate of the table that `qelib1.inc` lacks, defined by gates that it has; written if used.
pub(super) const RYY: &str = "gate ryy(t) a,b { rx(pi/2) a; rx(pi/2) b; cx a,b; rz(t) b; cx a,b; \
                              rx(-pi/2) a; rx(-pi/2) b; }";

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
            let _ = writeln!(text, " {};", qubits(&gate.qubits[..info.qubits]));
        }
        if !self.measures.is_empty() {
            let mut used: Vec<u8> = self.measures.iter().map(|m| m.0).collect();
            for gate in &self.gates {
                used.extend_from_slice(&gate.qubits[..gate.kind.info().qubits]);
            }
            used.sort_unstable();
            used.dedup();
            let _ = writeln!(text, "barrier {};", qubits(&used));
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

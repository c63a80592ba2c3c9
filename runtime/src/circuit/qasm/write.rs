//! The writer.

use super::{Circuit, LIBRARY};
use crate::circuit::affine::Affine;
use crate::circuit::gate::{Angle, GATES, GateKind};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write as _;

/// What kind of QASM is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// OpenQASM 2 in the names of the gate table, which quantum clouds take.
    Table,
    /// OpenQASM 2 with nothing but what `qelib1.inc` had from the first, or defines itself.
    Two,
    /// OpenQASM 3.
    Three,
}

impl Form {
    fn name(self, kind: GateKind) -> &'static str {
        match (self, kind) {
            (Self::Two, GateKind::U) => "u3",
            (Self::Two, GateKind::P) => "u1",
            (Self::Two, GateKind::Cp) => "cu1",
            (Self::Three, GateKind::U) => "U",
            _ => kind.info().name,
        }
    }

    /// Whether the included file lacks a gate.
    fn lacks(self, kind: GateKind) -> bool {
        use GateKind as K;
        match self {
            Self::Table => kind == K::Ryy,
            Self::Two => matches!(kind, K::Swap | K::Rzz | K::Rxx | K::Ryy | K::Crx | K::Cry),
            Self::Three => matches!(kind, K::Rzz | K::Rxx | K::Ryy),
        }
    }
}

/// What the library says of a gate.
fn definition(name: &str) -> &'static str {
    let of = |line: &&str| line.split([' ', '(']).nth(1) == Some(name);
    LIBRARY.lines().find(of).unwrap_or("")
}

impl Circuit {
    /// The circuit as QASM, which reads back equal; numbers are the shortest that read back to
    /// themselves. A `barrier` stands before the measurements (compilers that see none have been
    /// observed to move gates past them).
    pub fn write(&self) -> String {
        self.write_as(Form::Table)
    }

    /// The same in a form.
    pub fn write_as(&self, form: Form) -> String {
        // Writing into a `String` cannot fail.
        let mut text = String::from(match form {
            Form::Three => "OPENQASM 3.0;\ninclude \"stdgates.inc\";\n",
            _ => "OPENQASM 2.0;\ninclude \"qelib1.inc\";\n",
        });
        let used = |kind| self.gates.iter().any(|gate| gate.kind == kind);
        for info in GATES.iter().filter(|gate| form.lacks(gate.kind) && used(gate.kind)) {
            let _ = writeln!(text, "{}", definition(info.name));
        }
        self.declare(&mut text, form);
        let mut fences = self.barriers.iter().peekable();
        for (i, gate) in self.gates.iter().enumerate() {
            while let Some((_, fence)) = fences.next_if(|(at, _)| *at <= i) {
                let _ = writeln!(text, "barrier {};", qubits(fence));
            }
            let angles = &gate.angles[..gate.kind.info().angles];
            text.push_str(form.name(gate.kind));
            if !angles.is_empty() {
                let all: Vec<String> = angles.iter().map(|&a| angle(self, a)).collect();
                let _ = write!(text, "({})", all.join(","));
            }
            let _ = writeln!(text, " {};", qubits(gate.on()));
        }
        if !self.measures.is_empty() {
            let _ = writeln!(text, "barrier {};", qubits(&self.used()));
        }
        for (q, c) in &self.measures {
            let _ = match form {
                Form::Three => writeln!(text, "c[{c}] = measure q[{q}];"),
                _ => writeln!(text, "measure q[{q}] -> c[{c}];"),
            };
        }
        text
    }

    /// Parameters, where the form wants them declared, and registers.
    fn declare(&self, text: &mut String, form: Form) {
        let three = form == Form::Three;
        if three {
            let angles = self.gates.iter().flat_map(|gate| gate.angles);
            let mut names: Vec<String> = angles
                .filter(|angle| matches!(angle, Angle::Input(_)))
                .map(|input| angle(self, input))
                .collect();
            names.sort_unstable();
            names.dedup();
            names.extend(self.names.iter().cloned());
            for name in names {
                let _ = writeln!(text, "input float[64] {name};");
            }
        }
        let (qubits, bits) = if three { ("qubit", "bit") } else { ("qreg", "creg") };
        for (word, name, size) in [(qubits, 'q', self.qubits), (bits, 'c', self.bits)] {
            let _ = match () {
                () if size == 0 => Ok(()),
                () if three => writeln!(text, "{word}[{size}] {name};"),
                () => writeln!(text, "{word} {name}[{size}];"),
            };
        }
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

//! OpenQASM 2 as the gate table allows it: a strict reader and a writer.
//!
//! Read: one or more `qreg` and `creg`, gates of the table (also `cu1`, `u1`, `u3` and `id`, the
//! older names of `cp`, `p`, `u` and nothing), `barrier`, `measure` at the end. Anything else is
//! refused with its line. Registers are numbered one after the other in order of declaration.

use crate::circuit::{Circuit, Op};
use crate::expr::evaluate;
use qdllm_runtime::gate::{GATES, GateKind};
use std::fmt::Write as _;

/// Most qubits that a register file may declare.
pub const MAX_QUBITS: usize = 256;

/// What is wrong with a QASM text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {what}")]
pub struct QasmError {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong, and what would be right.
    pub what: String,
}

/// Reads a circuit.
///
/// # Errors
/// [`QasmError`] for the first statement that is not understood.
pub fn read(text: &str) -> Result<Circuit, QasmError> {
    let mut reader = Reader::default();
    for (line, statement) in statements(text)? {
        reader.statement(&statement).map_err(|what| QasmError { line, what })?;
    }
    if reader.circuit.qubits == 0 {
        return Err(QasmError {
            line: text.lines().count().max(1),
            what: "no qreg is declared".into(),
        });
    }
    Ok(reader.circuit)
}

/// Statements with the line on which each begins; comments are gone.
fn statements(text: &str) -> Result<Vec<(usize, String)>, QasmError> {
    let (mut all, mut current, mut start) = (Vec::new(), String::new(), 1);
    let mut depth = 0_i32;
    for (i, line) in text.lines().enumerate() {
        for c in line.split("//").next().unwrap_or("").chars() {
            depth += match c {
                '{' => 1,
                '}' => -1,
                _ => 0,
            };
            if c == '}' {
                current.push(c);
            }
            if depth <= 0 && (c == ';' || c == '}') {
                all.push((start, current.trim().to_string()));
                current.clear();
            } else {
                if current.trim().is_empty() {
                    start = i + 1;
                }
                if c != '}' {
                    current.push(c);
                }
            }
        }
        current.push(' ');
    }
    if !current.trim().is_empty() {
        let what = format!("`{}` has no `;`", current.trim());
        return Err(QasmError { line: start, what });
    }
    Ok(all)
}

#[derive(Default)]
struct Reader {
    circuit: Circuit,
    /// (name, first, size)
    qregs: Vec<(String, usize, usize)>,
    cregs: Vec<(String, usize, usize)>,
    measured: Vec<u8>,
    version_seen: bool,
}

impl Reader {
    fn statement(&mut self, text: &str) -> Result<(), String> {
        let (word, rest) = text.split_at(
            text.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(text.len()),
        );
        let rest = rest.trim();
        if word != "OPENQASM" && !self.version_seen {
            return Err("the first statement must be `OPENQASM 2.0;`".into());
        }
        match word {
            "OPENQASM" if rest == "2.0" && !self.version_seen => self.version_seen = true,
            "OPENQASM" => return Err(format!("version `{rest}`; only 2.0, once, is read")),
            "include" if rest == "\"qelib1.inc\"" => {}
            "include" => return Err(format!("include of {rest}; only \"qelib1.inc\" is known")),
            "qreg" => declare(rest, &mut self.qregs, &mut self.circuit.qubits)?,
            "creg" => declare(rest, &mut self.cregs, &mut self.circuit.bits)?,
            "barrier" => {
                for argument in rest.split(',') {
                    resolve(argument, &self.qregs)?;
                }
            }
            "measure" => self.measure(rest)?,
            "gate" if text.split_whitespace().eq(RYY.split_whitespace()) => {}
            "gate" | "opaque" | "if" | "reset" => {
                return Err(format!("`{word}` is not supported; write the circuit out in gates"));
            }
            _ => self.gate(word, rest)?,
        }
        Ok(())
    }

    fn measure(&mut self, rest: &str) -> Result<(), String> {
        let (from, to) = rest.split_once("->").ok_or("`measure` takes `qubit -> bit`")?;
        let (qubits, bits) = (resolve(from, &self.qregs)?, resolve(to, &self.cregs)?);
        if qubits.len() != bits.len() {
            return Err(format!("measure of {} qubits into {} bits", qubits.len(), bits.len()));
        }
        for (q, c) in qubits.into_iter().zip(bits) {
            if self.measured.contains(&q) {
                return Err(format!("qubit {q} is measured twice"));
            }
            if self.circuit.measures.iter().any(|m| m.1 == c) {
                return Err(format!("bit {c} is written twice"));
            }
            self.measured.push(q);
            self.circuit.measures.push((q, c));
        }
        Ok(())
    }

    fn gate(&mut self, name: &str, rest: &str) -> Result<(), String> {
        let (angles, rest) = match rest.strip_prefix('(') {
            Some(inner) => {
                let end = closing(inner).ok_or("a `(` without its `)`")?;
                (split_top(&inner[..end]), &inner[end + 1..])
            }
            None => (Vec::new(), rest),
        };
        let angles: Vec<f64> = angles.into_iter().map(evaluate).collect::<Result<_, _>>()?;
        let kind = match name {
            "id" => None,
            "u1" => Some(GateKind::P),
            "u3" | "U" => Some(GateKind::U),
            "cu1" => Some(GateKind::Cp),
            "CX" => Some(GateKind::Cx),
            _ => match GATES.iter().find(|g| g.name == name) {
                Some(info) => Some(info.kind),
                None => {
                    let known: Vec<&str> = GATES.iter().map(|g| g.name).collect();
                    return Err(format!("unknown gate `{name}`; known: {}", known.join(" ")));
                }
            },
        };
        let (arity, wanted) = kind.map_or((1, 0), |k| (k.info().qubits, k.info().angles));
        if angles.len() != wanted {
            return Err(format!("`{name}` takes {wanted} angles, {} given", angles.len()));
        }
        let operands: Vec<Vec<u8>> =
            rest.split(',').map(|a| resolve(a, &self.qregs)).collect::<Result<_, _>>()?;
        if operands.len() != arity {
            return Err(format!("`{name}` takes {arity} qubits, {} given", operands.len()));
        }
        let count = operands.iter().map(Vec::len).max().unwrap_or(0);
        for i in 0..count {
            let pick = |list: &Vec<u8>| -> Result<u8, String> {
                match (list.len(), list.get(i)) {
                    (1, _) => Ok(list[0]),
                    (n, Some(&q)) if n == count => Ok(q),
                    _ => Err(format!("`{name}` on registers of different sizes")),
                }
            };
            let a = pick(&operands[0])?;
            let b = if arity == 2 { pick(&operands[1])? } else { a };
            if arity == 2 && a == b {
                return Err(format!("`{name}` on qubit {a} twice"));
            }
            if let Some(&q) = [a, b].iter().find(|q| self.measured.contains(q)) {
                return Err(format!("`{name}` on qubit {q} after its measurement"));
            }
            let Some(kind) = kind else { continue };
            let mut angles_rad = [0.0; 3];
            angles_rad[..angles.len()].copy_from_slice(&angles);
            self.circuit.ops.push(Op { kind, qubits: [a, b], angles_rad });
        }
        Ok(())
    }
}

/// Where the parenthesis opened before `text` closes.
fn closing(text: &str) -> Option<usize> {
    let mut depth = 1;
    text.char_indices().find_map(|(i, c)| {
        depth += match c {
            '(' => 1,
            ')' => -1,
            _ => 0,
        };
        (depth == 0).then_some(i)
    })
}

/// Parts between commas; an empty list has none.
fn split_top(text: &str) -> Vec<&str> {
    if text.trim().is_empty() { Vec::new() } else { text.split(',').collect() }
}

fn name_and_index(text: &str) -> Result<(&str, Option<usize>), String> {
    let text = text.trim();
    let Some((name, rest)) = text.split_once('[') else { return Ok((text, None)) };
    let index = rest.strip_suffix(']').and_then(|n| n.trim().parse().ok());
    Ok((name.trim(), Some(index.ok_or_else(|| format!("`{text}` is not `name[number]`"))?)))
}

fn declare(
    text: &str,
    registers: &mut Vec<(String, usize, usize)>,
    total: &mut usize,
) -> Result<(), String> {
    let (name, size) = name_and_index(text)?;
    let size = size.ok_or_else(|| format!("`{text}` has no size"))?;
    if registers.iter().any(|r| r.0 == name) {
        return Err(format!("register `{name}` is declared twice"));
    }
    if size == 0 || *total + size > MAX_QUBITS {
        return Err(format!("register `{name}` of {size}; 1 to {MAX_QUBITS} in all are possible"));
    }
    registers.push((name.into(), *total, size));
    *total += size;
    Ok(())
}

/// The numbers that `name` or `name[i]` stands for.
fn resolve(text: &str, registers: &[(String, usize, usize)]) -> Result<Vec<u8>, String> {
    let (name, index) = name_and_index(text)?;
    let (_, first, size) = registers
        .iter()
        .find(|r| r.0 == name)
        .ok_or_else(|| format!("register `{name}` is not declared"))?;
    match index {
        Some(i) if i < *size => Ok(vec![(first + i) as u8]),
        Some(i) => Err(format!("`{name}[{i}]` is outside the register of {size}")),
        None => Ok((*first..first + size).map(|q| q as u8).collect()),
    }
}

/// The one gate of the table that `qelib1.inc` lacks, defined by gates that it has; written if used.
const RYY: &str = "gate ryy(t) a,b { rx(pi/2) a; rx(pi/2) b; cx a,b; rz(t) b; cx a,b; \
                   rx(-pi/2) a; rx(-pi/2) b; }";

/// Writes a circuit; a `barrier` stands before the measurements (compilers that see none have been
/// observed to move gates past them).
pub fn write(circuit: &Circuit) -> String {
    let mut text = String::from("OPENQASM 2.0;\ninclude \"qelib1.inc\";\n");
    if circuit.ops.iter().any(|op| op.kind == GateKind::Ryy) {
        let _ = writeln!(text, "{RYY}");
    }
    let _ = writeln!(text, "qreg q[{}];", circuit.qubits);
    if circuit.bits > 0 {
        let _ = writeln!(text, "creg c[{}];", circuit.bits);
    }
    for op in &circuit.ops {
        line(&mut text, op.kind.info().name, op.angles(), op.on());
    }
    if !circuit.measures.is_empty() {
        let used: Vec<String> = circuit.used().iter().map(|q| format!("q[{q}]")).collect();
        let _ = writeln!(text, "barrier {};", used.join(","));
    }
    for (q, c) in &circuit.measures {
        let _ = writeln!(text, "measure q[{q}] -> c[{c}];");
    }
    text
}

fn line(text: &mut String, name: &str, angles: &[f64], qubits: &[u8]) {
    text.push_str(name);
    if !angles.is_empty() {
        // `{:?}` of f64 is the shortest text that reads back to the same number.
        let all: Vec<String> = angles.iter().map(|a| format!("{a:?}")).collect();
        let _ = write!(text, "({})", all.join(","));
    }
    let all: Vec<String> = qubits.iter().map(|q| format!("q[{q}]")).collect();
    let _ = writeln!(text, " {};", all.join(","));
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "OPENQASM 2.0;\ninclude \"qelib1.inc\";\nqreg q[3];\ncreg c[3];\n";

    #[test]
    fn every_gate_survives_a_round_trip() {
        let mut circuit =
            Circuit { qubits: 3, bits: 3, measures: vec![(0, 2), (2, 0)], ..Circuit::default() };
        for (i, info) in GATES.iter().enumerate() {
            let mut op = Op::two(info.kind, (i % 3) as u8, ((i + 1) % 3) as u8);
            if info.qubits == 1 {
                op.qubits[1] = op.qubits[0];
            }
            for angle in &mut op.angles_rad[..info.angles] {
                *angle = 1e-17 - 0.1 * i as f64;
            }
            circuit.ops.push(op);
        }
        assert_eq!(read(&write(&circuit)).unwrap(), circuit);
    }

    #[test]
    fn registers_broadcast_and_expressions_are_evaluated() {
        let circuit =
            read(&format!("{HEAD}h q; cx q[0],q[2]; // note\n rz(-pi/\n2) q[1];measure q->c;"))
                .unwrap();
        assert_eq!(circuit.ops.len(), 5);
        assert_eq!(circuit.ops[4].angles(), [-std::f64::consts::FRAC_PI_2]);
        assert_eq!(circuit.measures, [(0, 0), (1, 1), (2, 2)]);
    }

    #[test]
    fn what_is_refused_is_named_with_its_line() {
        for (body, line, what) in [
            ("h q[0];\nccx q[0],q[1],q[2];", 6, "unknown gate `ccx`"),
            ("rx q[0];", 5, "takes 1 angles"),
            ("cx q[0],q[0];", 5, "twice"),
            ("cx q[0];", 5, "takes 2 qubits"),
            ("h q[3];", 5, "outside the register"),
            ("h r[0];", 5, "not declared"),
            ("measure q[0]->c[0];\nh q[0];", 6, "after its measurement"),
            ("measure q[0]->c[0];\nmeasure q[1]->c[0];", 6, "written twice"),
            ("gate foo a { x a; }", 5, "not supported"),
            ("gate ryy(t) a,b { cx a,b; }", 5, "not supported"),
            ("if(c==1) x q[0];", 5, "not supported"),
            ("qreg q[2];", 5, "declared twice"),
            ("qreg r[999];", 5, "possible"),
            ("rz(tau) q[0];", 5, "not a number"),
            ("h q[0]", 5, "has no `;`"),
        ] {
            let error = read(&format!("{HEAD}{body}")).unwrap_err();
            assert_eq!(error.line, line, "{body}: {error}");
            assert!(error.what.contains(what), "{body}: {error}");
        }
        assert!(read("qreg q[1];").is_err());
        assert!(read("OPENQASM 3.0; qreg q[1];").is_err());
    }
}

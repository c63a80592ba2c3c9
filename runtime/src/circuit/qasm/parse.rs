//! The parser: statements, registers, gates with their angles.

use super::expression::evaluate;
use super::{Circuit, MAX_NAMED, MAX_QUBITS, QasmError, RYY, input_of};
use crate::circuit::affine::Affine;
use crate::circuit::gate::{Angle, GATES, Gate, GateKind};
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

/// Numbers from here on stand for inputs while an angle is read.
const INPUTS: u16 = u16::MAX - 255;

impl Circuit {
    /// Reads a circuit.
    ///
    /// # Errors
    /// [`QasmError`] for the first statement that is not understood.
    pub fn read(text: &str) -> Result<Self, QasmError> {
        let mut parser = Parser::default();
        for (line, statement) in statements(text)? {
            parser.statement(&statement).map_err(|what| QasmError { line, what })?;
            parser.circuit.lines.resize(parser.circuit.gates.len(), line);
        }
        if parser.circuit.qubits == 0 {
            let line = text.lines().count().max(1);
            return Err(QasmError { line, what: "no qreg is declared".into() });
        }
        Ok(parser.circuit)
    }
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
            if current.trim().is_empty() {
                start = i + 1;
            }
            if c == '}' {
                current.push(c);
            }
            if depth <= 0 && (c == ';' || c == '}') {
                all.push((start, current.trim().to_string()));
                current.clear();
            } else if c != '}' {
                current.push(c);
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

/// A register: name, number of its first element, size.
type Register = (String, usize, usize);

#[derive(Default)]
struct Parser {
    circuit: Circuit,
    numbers: BTreeMap<String, u16>,
    qregs: Vec<Register>,
    cregs: Vec<Register>,
    has_version: bool,
}

impl Parser {
    fn statement(&mut self, text: &str) -> Result<(), String> {
        let (word, rest) = text.split_at(
            text.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(text.len()),
        );
        let rest = rest.trim();
        if word != "OPENQASM" && !self.has_version {
            return Err("the first statement must be `OPENQASM 2.0;`".into());
        }
        match word {
            "OPENQASM" if rest == "2.0" && !self.has_version => self.has_version = true,
            "OPENQASM" => return Err(format!("version `{rest}`; only 2.0, once, is read")),
            "include" if rest == "\"qelib1.inc\"" => {}
            "include" => return Err(format!("include of {rest}; only \"qelib1.inc\" is known")),
            "qreg" => declare(rest, &mut self.qregs, &mut self.circuit.qubits)?,
            "creg" => declare(rest, &mut self.cregs, &mut self.circuit.bits)?,
            "barrier" => rest.split(',').try_for_each(|q| resolve(q, &self.qregs).map(drop))?,
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
            if self.is_measured(q) {
                return Err(format!("qubit {q} is measured twice"));
            }
            if self.circuit.measures.iter().any(|m| m.1 == c) {
                return Err(format!("bit {c} is written twice"));
            }
            self.circuit.measures.push((q, c));
        }
        Ok(())
    }

    fn is_measured(&self, qubit: u8) -> bool {
        self.circuit.measures.iter().any(|m| m.0 == qubit)
    }

    fn gate(&mut self, name: &str, rest: &str) -> Result<(), String> {
        let (angles, rest) = match rest.strip_prefix('(') {
            Some(inner) => {
                let end = closing(inner).ok_or("a `(` without its `)`")?;
                (split_top(&inner[..end]), &inner[end + 1..])
            }
            None => (Vec::new(), rest),
        };
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
        let mut read = [Angle::Const(0.0); 3];
        for (to, text) in read.iter_mut().zip(angles) {
            *to = self.angle(text)?;
        }
        let operands: Vec<Vec<u8>> =
            rest.split(',').map(|a| resolve(a, &self.qregs)).collect::<Result<_, _>>()?;
        if operands.len() != arity {
            return Err(format!("`{name}` takes {arity} qubits, {} given", operands.len()));
        }
        let count = operands.iter().map(Vec::len).max().unwrap_or(0);
        for i in 0..count {
            let pick = |list: &Vec<u8>| -> Result<u8, String> {
                match (list.as_slice(), list.get(i)) {
                    (&[q], _) => Ok(q),
                    (all, Some(&q)) if all.len() == count => Ok(q),
                    _ => Err(format!("`{name}` on registers of different sizes")),
                }
            };
            let a = pick(&operands[0])?;
            let b = if arity == 2 { pick(&operands[1])? } else { a };
            if arity == 2 && a == b {
                return Err(format!("`{name}` on qubit {a} twice"));
            }
            if let Some(q) = [a, b].into_iter().find(|&q| self.is_measured(q)) {
                return Err(format!("`{name}` on qubit {q} after its measurement"));
            }
            if let Some(kind) = kind {
                self.circuit.gates.push(Gate { kind, qubits: [a, b], angles: read });
            }
        }
        Ok(())
    }

    fn angle(&mut self, text: &str) -> Result<Angle, String> {
        let (numbers, names) = (&mut self.numbers, &mut self.circuit.names);
        let affine = evaluate(text, |name| {
            if let Some(input) = input_of(name) {
                return Ok(INPUTS + u16::from(input?));
            }
            if let Some(&number) = numbers.get(name) {
                return Ok(number);
            }
            if names.len() == MAX_NAMED {
                return Err(format!("`{name}` is one parameter more than {MAX_NAMED}"));
            }
            let number = names.len() as u16;
            numbers.insert(name.into(), number);
            names.push(name.into());
            Ok(number)
        })?;
        if let Some(&(input, _)) = affine.terms.iter().find(|(p, _)| *p >= INPUTS) {
            if affine != Affine::parameter(input) {
                return Err(format!("`{}`: an input stands alone: `rx(x0)`", text.trim()));
            }
            return Ok(Angle::Input((input - INPUTS) as u8));
        }
        if affine.terms.is_empty() {
            return Ok(Angle::Const(affine.constant));
        }
        let angles = &mut self.circuit.angles;
        let known = angles.iter().position(|a| *a == affine);
        let place = known.unwrap_or(angles.len());
        if place == MAX_NAMED {
            return Err(format!("more than {MAX_NAMED} different angles with names in them"));
        }
        if known.is_none() {
            angles.push(affine);
        }
        Ok(Angle::Param(place as u16))
    }
}

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

fn declare(text: &str, registers: &mut Vec<Register>, total: &mut usize) -> Result<(), String> {
    let (name, size) = name_and_index(text)?;
    let size = size.ok_or_else(|| format!("`{text}` has no size"))?;
    if registers.iter().any(|r| r.0 == name) {
        return Err(format!("register `{name}` is declared twice"));
    }
    if size == 0 || size > MAX_QUBITS - *total {
        return Err(format!("register `{name}` of {size}; 1 to {MAX_QUBITS} in all are possible"));
    }
    registers.push((name.into(), *total, size));
    *total += size;
    Ok(())
}

/// The numbers that `name` or `name[i]` stands for.
fn resolve(text: &str, registers: &[Register]) -> Result<Vec<u8>, String> {
    let (name, index) = name_and_index(text)?;
    let (_, first, size) = registers
        .iter()
        .find(|r| r.0 == name)
        .ok_or_else(|| format!("register `{name}` is not declared"))?;
    match index {
        Some(i) if i < *size => Ok(Vec::from([(first + i) as u8])),
        Some(i) => Err(format!("`{name}[{i}]` is outside the register of {size}")),
        None => Ok((*first..first + size).map(|q| q as u8).collect()),
    }
}

//! The reader's calls of gates: modifiers, name, angles, qubits, each looked up.

use super::expand::{Call, Expander, INPUTS, Target};
use super::expression::{Expression, Op, number, read, value};
use super::lexer::Cursor;
use super::{MAX_NAMED, MAX_QUBITS, input_of};
use crate::circuit::affine::Affine;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::f64::consts::{E, PI, TAU};

/// What may stand before a gate's name in OpenQASM 3.
const MODIFIERS: [&str; 4] = ["inv", "pow", "ctrl", "negctrl"];

/// Statements that are understood and yet refused, and why.
const REFUSED: [(&str, &str); 4] = [
    (
        "if else for while switch def return end break continue extern",
        "is decided while a program runs; write out the gates that are run",
    ),
    ("reset", "is not supported: every qubit starts as 0; take another qubit"),
    (
        "const let int uint float angle bool complex array output",
        "makes a variable; write its value where it stands",
    ),
    (
        "delay box duration stretch cal defcal defcalgrammar pragma",
        "is about time and pulses, of which a circuit knows nothing",
    ),
];

/// Why a statement is refused.
pub(super) fn reason(word: &str) -> Option<&'static str> {
    let has = |words: &str| words.split(' ').any(|other| other == word);
    REFUSED.iter().find(|(words, _)| has(words)).map(|(_, why)| *why)
}

/// A register: name, number of its first element, size.
pub(super) type Register = (String, usize, usize);

#[derive(Default)]
pub(super) struct Parser<'t> {
    pub out: Expander,
    pub cursor: Cursor<'t>,
    /// 2 or 3; 0 before the first statement.
    pub version: u8,
    /// The line of the statement that is read.
    pub line: usize,
    pub numbers: BTreeMap<String, u16>,
    pub qregs: Vec<Register>,
    pub cregs: Vec<Register>,
    /// The definitions of the text, by name.
    pub defined: BTreeMap<String, usize>,
    /// The library is read.
    pub loading: bool,
    /// Inside a gate definition: the names of its angles and of its qubits.
    pub scope: Option<[Vec<&'t str>; 2]>,
}

impl Parser<'_> {
    /// What `one` reads, between commas, up to `end`; nothing is a list too.
    pub fn list<T>(
        &mut self,
        end: &str,
        mut one: impl FnMut(&mut Self) -> Result<T, String>,
    ) -> Result<Vec<T>, String> {
        let mut all = Vec::new();
        while !self.cursor.eat(end) {
            if !all.is_empty() {
                self.cursor.take(",")?;
            }
            all.push(one(self)?);
        }
        Ok(all)
    }

    pub fn call(&mut self) -> Result<Call, String> {
        let mut call = Call::default();
        while self.version == 3 && MODIFIERS.contains(&self.cursor.peek(0)) {
            self.modifier(&mut call)?;
        }
        let name = self.cursor.name()?;
        call.target = self.target(name)?;
        call.angles = self.angles()?;
        call.operands = self.list(";", Self::operand)?;
        if let (Target::Barrier, true) = (call.target, call.operands.is_empty()) {
            let inside = self.scope.as_ref().map(|[_, qubits]| qubits.len());
            let all = inside.unwrap_or(self.out.circuit.qubits);
            call.operands = (0..all).map(|q| Vec::from([q as u8])).collect();
        }
        self.fits(name, &call)?;
        Ok(call)
    }

    /// `inv @`, `pow(2) @`, `ctrl @`, `ctrl(2) @`
    fn modifier(&mut self, call: &mut Call) -> Result<(), String> {
        let modifier = self.cursor.advance();
        let given = self.angles()?;
        match (modifier, &given[..]) {
            ("inv", []) => call.inverse = !call.inverse,
            ("pow", [by]) => {
                let both = !call.power.is_empty();
                call.power.extend(by.iter().cloned());
                call.power.extend(both.then_some(Op::Binary('*')));
            }
            ("ctrl" | "negctrl", [] | [_]) => {
                let many = given.first().map_or(Ok(1.0), |many| number(&value(many, &[])?))?;
                if !(1.0..=MAX_QUBITS as f64).contains(&many) {
                    return Err(format!("`{modifier}({many})`; it takes a number from 1 on"));
                }
                call.controls.resize(call.controls.len() + many as usize, modifier == "ctrl");
            }
            _ => return Err(format!("`{modifier}` takes another number of values")),
        }
        self.cursor.take("@")
    }

    fn target(&self, name: &str) -> Result<Target, String> {
        match name {
            "barrier" => return Ok(Target::Barrier),
            "gphase" if self.version == 3 => return Ok(Target::GlobalPhase),
            _ => {}
        }
        let own = self.defined.get(name).map(|&own| Target::Defined(own));
        own.or_else(|| self.out.known(name)).ok_or_else(|| match reason(name) {
            Some(why) => format!("`{name}` {why}"),
            None => {
                format!("unknown gate `{name}`; say what it does by `gate {name} ... {{ ... }}`")
            }
        })
    }

    fn fits(&self, name: &str, call: &Call) -> Result<(), String> {
        let (angles, qubits) = match call.target {
            Target::Gate(kind) => (kind.info().angles, kind.info().qubits),
            Target::Defined(own) => {
                let definition = &self.out.definitions[own];
                (definition.angles, definition.qubits)
            }
            Target::GlobalPhase => (1, 0),
            Target::Barrier => (0, call.operands.len()),
        };
        let (qubits, on) = (qubits + call.controls.len(), &call.operands);
        if call.angles.len() != angles {
            return Err(format!("`{name}` takes {angles} angles, {} given", call.angles.len()));
        }
        if on.len() != qubits {
            return Err(format!("`{name}` takes {qubits} qubits, {} given", on.len()));
        }
        if self.scope.is_some() && (1..on.len()).any(|i| on[..i].contains(&on[i])) {
            return Err(format!("`{name}` on one qubit twice"));
        }
        Ok(())
    }

    /// Expressions in parentheses, if such are here.
    fn angles(&mut self) -> Result<Vec<Expression>, String> {
        if self.cursor.eat("(") { self.list(")", Self::expression) } else { Ok(Vec::new()) }
    }

    fn expression(&mut self) -> Result<Expression, String> {
        let mut ops = read(&mut self.cursor, if self.version == 3 { "**" } else { "^" })?;
        for op in &mut ops {
            if let Op::Name(name) = op {
                *op = self.named(name)?;
            }
        }
        Ok(ops)
    }

    /// What a name in an angle stands for.
    pub fn named(&mut self, name: &str) -> Result<Op, String> {
        if let Some([angles, _]) = &self.scope
            && let Some(i) = angles.iter().position(|angle| *angle == name)
        {
            return Ok(Op::Parameter(i));
        }
        let number = match name {
            "pi" | "π" => Some(PI),
            "tau" | "τ" if self.version == 3 => Some(TAU),
            "euler" | "ℇ" if self.version == 3 => Some(E),
            "inf" | "nan" => return Err(format!("`{name}` is no angle")),
            _ => None,
        };
        Ok(Op::Value(match (number, input_of(name)) {
            (Some(number), _) => Affine::constant(number),
            _ if self.scope.is_some() => return Err(format!("`{name}` is no angle of this gate")),
            (_, Some(input)) => Affine::parameter(INPUTS + u16::from(input?)),
            _ => Affine::parameter(self.parameter(name)?),
        }))
    }

    /// The number of a trainable parameter.
    fn parameter(&mut self, name: &str) -> Result<u16, String> {
        if let Some(&number) = self.numbers.get(name) {
            return Ok(number);
        }
        let names = &mut self.out.circuit.names;
        if names.len() == MAX_NAMED {
            return Err(format!("`{name}` is one parameter more than {MAX_NAMED}"));
        }
        let number = names.len() as u16;
        self.numbers.insert(name.into(), number);
        names.push(name.into());
        Ok(number)
    }

    /// The qubits that `name` or `name[i]` stands for; in a definition, the qubit's place.
    pub fn operand(&mut self) -> Result<Vec<u8>, String> {
        if let (Some(number), None) = (self.cursor.peek(0).strip_prefix('$'), &self.scope) {
            return self.physical(number);
        }
        let name = self.cursor.name()?;
        let Some([_, qubits]) = &self.scope else {
            let index = self.cursor.size()?;
            return resolve(name, index, &self.qregs);
        };
        let place = qubits.iter().position(|qubit| *qubit == name);
        let place = place.ok_or_else(|| format!("`{name}` is no qubit of this gate"))?;
        Ok(Vec::from([place as u8]))
    }

    /// `$3`, a qubit of the chip.
    fn physical(&mut self, number: &str) -> Result<Vec<u8>, String> {
        let qubit = number.parse::<u8>();
        let qubit =
            qubit.map_err(|_| format!("`${number}` is not `$0` to `${}`", MAX_QUBITS - 1))?;
        if !self.qregs.is_empty() {
            return Err("qubits of registers and of the chip, `$0`, stand in one text".into());
        }
        let qubits = &mut self.out.circuit.qubits;
        *qubits = (*qubits).max(usize::from(qubit) + 1);
        self.cursor.at += 1;
        Ok(Vec::from([qubit]))
    }

    pub fn bits(&mut self) -> Result<Vec<u8>, String> {
        let name = self.cursor.name()?;
        let index = self.cursor.size()?;
        resolve(name, index, &self.cregs)
    }
}

/// The numbers that `name` or `name[i]` stands for.
fn resolve(name: &str, index: Option<usize>, registers: &[Register]) -> Result<Vec<u8>, String> {
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

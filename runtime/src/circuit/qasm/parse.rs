//! The reader's statements: registers, gate definitions, gates, measurements.

use super::call::{Parser, reason};
use super::expand::{Call, Definition, MAX_DEPTH, Target};
use super::lexer::Cursor;
use super::{Circuit, LIBRARY, MAX_QUBITS, QasmError};
use alloc::format;
use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;

impl Circuit {
    /// Reads a circuit.
    ///
    /// # Errors
    /// [`QasmError`] for the first statement that is not understood.
    pub fn read(text: &str) -> Result<Self, QasmError> {
        let mut parser = Parser { version: 3, cursor: Cursor::new(LIBRARY)?, ..Parser::default() };
        parser.loading = true;
        parser.run()?;
        parser.loading = false;
        (parser.version, parser.cursor) = (0, Cursor::new(text)?);
        parser.run()?;
        let mut circuit = parser.out.circuit;
        if circuit.qubits == 0 {
            let line = text.lines().count().max(1);
            return Err(QasmError { line, what: "no qreg is declared".into() });
        }
        // Nothing is moved past the measurements: a fence before them is there without a word.
        while circuit.barriers.last().is_some_and(|(at, _)| *at == circuit.gates.len()) {
            circuit.barriers.pop();
        }
        Ok(circuit)
    }
}

impl Parser<'_> {
    fn run(&mut self) -> Result<(), QasmError> {
        while !self.cursor.peek(0).is_empty() {
            self.line = self.cursor.line();
            self.statement().map_err(|what| QasmError { line: self.line, what })?;
            self.out.circuit.lines.resize(self.out.circuit.gates.len(), self.line);
        }
        Ok(())
    }

    fn statement(&mut self) -> Result<(), String> {
        let three = self.version == 3;
        match self.cursor.peek(0) {
            "OPENQASM" => self.header(),
            ";" => self.cursor.take(";"),
            _ if self.version == 0 => {
                Err("the first statement must be `OPENQASM 2.0;` or `OPENQASM 3.0;`".into())
            }
            "include" => self.include(),
            "qreg" | "creg" => self.register(),
            "qubit" | "bit" if three => self.register(),
            "input" if three => self.input(),
            "gate" => self.definition(false),
            "opaque" => self.definition(true),
            "measure" => self.measure_arrow(),
            word if three && matches!(self.cursor.peek(1), "=" | "[") && reason(word).is_none() => {
                let bits = self.bits()?;
                self.assigned(&bits)
            }
            _ => self.gates(),
        }
    }

    fn header(&mut self) -> Result<(), String> {
        self.cursor.advance();
        let version = match self.cursor.advance() {
            "2" | "2.0" => 2,
            "3" | "3.0" | "3.1" => 3,
            other => return Err(format!("version `{other}`; 2.0 and 3.0 are read")),
        };
        if self.version != 0 {
            return Err("the version stands once, at the front".into());
        }
        self.version = version;
        if let (2, Some(line)) = (version, self.cursor.block_comment) {
            self.line = line;
            return Err("OpenQASM 2 has no `/* ... */`; write `//` before each line".into());
        }
        self.cursor.take(";")
    }

    fn include(&mut self) -> Result<(), String> {
        self.cursor.advance();
        let file = self.cursor.advance();
        if !matches!(file.trim_matches(['"', '\'']), "qelib1.inc" | "stdgates.inc") {
            let known = "only \"qelib1.inc\" and \"stdgates.inc\" are known";
            return Err(format!("include of {file}; {known}"));
        }
        self.cursor.take(";")
    }

    /// `qreg q[2];`, `qubit[2] q;`, `bit[2] c = measure q;`
    fn register(&mut self) -> Result<(), String> {
        let word = self.cursor.advance();
        let mut size = self.cursor.size()?;
        let name = self.cursor.name()?;
        if matches!(word, "qreg" | "creg") {
            size = self.cursor.size()?;
            size.ok_or_else(|| format!("`{name}` has no size"))?;
        }
        let quantum = matches!(word, "qreg" | "qubit");
        let size = size.unwrap_or(1);
        if self.qregs.iter().chain(&self.cregs).any(|r| r.0 == name) {
            return Err(format!("register `{name}` is declared twice"));
        }
        let circuit = &mut self.out.circuit;
        let (all, total) = if quantum {
            (&mut self.qregs, &mut circuit.qubits)
        } else {
            circuit.registers.push((name.into(), size));
            (&mut self.cregs, &mut circuit.bits)
        };
        if size == 0 || size > MAX_QUBITS - *total {
            return Err(format!(
                "register `{name}` of {size}; 1 to {MAX_QUBITS} in all are possible"
            ));
        }
        all.push((name.into(), *total, size));
        *total += size;
        if !quantum && self.cursor.peek(0) == "=" {
            let bits: Vec<u8> = (*total - size..*total).map(|bit| bit as u8).collect();
            return self.assigned(&bits);
        }
        self.cursor.take(";")
    }

    /// `input float[64] name;`: a parameter.
    fn input(&mut self) -> Result<(), String> {
        self.cursor.advance();
        self.cursor.name()?;
        self.cursor.size()?;
        let name = self.cursor.name()?;
        self.named(name)?;
        self.cursor.take(";")
    }

    /// `measure q -> c;`
    fn measure_arrow(&mut self) -> Result<(), String> {
        self.cursor.advance();
        let qubits = self.operand()?;
        if !self.cursor.eat("->") {
            return Err(self.cursor.wanted("`->` and a bit"));
        }
        let bits = self.bits()?;
        self.measure(&qubits, &bits)
    }

    /// `= measure q;`
    fn assigned(&mut self, bits: &[u8]) -> Result<(), String> {
        self.cursor.take("=")?;
        self.cursor.take("measure")?;
        let qubits = self.operand()?;
        self.measure(&qubits, bits)
    }

    fn measure(&mut self, qubits: &[u8], bits: &[u8]) -> Result<(), String> {
        if qubits.len() != bits.len() {
            return Err(format!("measure of {} qubits into {} bits", qubits.len(), bits.len()));
        }
        for (&q, &c) in qubits.iter().zip(bits) {
            if self.is_measured(q) {
                return Err(format!("qubit {q} is measured twice"));
            }
            if self.out.circuit.measures.iter().any(|m| m.1 == c) {
                return Err(format!("bit {c} is written twice"));
            }
            self.out.circuit.measures.push((q, c));
        }
        self.cursor.take(";")
    }

    fn is_measured(&self, qubit: u8) -> bool {
        self.out.circuit.measures.iter().any(|m| m.0 == qubit)
    }

    /// `gate name(angles) qubits { ... }`, `opaque name(angles) qubits;`
    fn definition(&mut self, opaque: bool) -> Result<(), String> {
        let start = self.cursor.at;
        self.cursor.advance();
        let name = self.cursor.name()?;
        let word = |parser: &mut Self| parser.cursor.name();
        let angles = if self.cursor.eat("(") { self.list(")", word)? } else { Vec::new() };
        let qubits = self.list(if opaque { ";" } else { "{" }, word)?;
        if qubits.len() > MAX_QUBITS {
            return Err(format!("`{name}` takes more than {MAX_QUBITS} qubits"));
        }
        let (takes, on) = (angles.len(), qubits.len());
        self.scope = Some([angles, qubits]);
        let body = if opaque { None } else { Some(self.body()?) };
        self.scope = None;
        let inner = body.iter().flatten().map(|call| match call.target {
            Target::Defined(other) => self.out.definitions[other].depth,
            _ => 0,
        });
        let depth = inner.max().unwrap_or(0) + 1;
        if depth > MAX_DEPTH {
            return Err(format!(
                "`{name}`: more than {MAX_DEPTH} definitions stand one in the other"
            ));
        }
        let words: Vec<&str> =
            self.cursor.tokens[start..self.cursor.at].iter().map(|token| token.text).collect();
        let (text, definitions) = (words.join(" "), &mut self.out.definitions);
        // The library's own definition: what the table says of the gate is known to be the same.
        if self.out.library.get(name).is_some_and(|&own| definitions[own].text == text) {
            return Ok(());
        }
        let all = if self.loading { &mut self.out.library } else { &mut self.defined };
        if all.insert(name.into(), definitions.len()).is_some() {
            return Err(format!("gate `{name}` is defined twice"));
        }
        let name = name.into();
        definitions.push(Rc::new(Definition {
            name,
            angles: takes,
            qubits: on,
            depth,
            body,
            text,
        }));
        Ok(())
    }

    fn body(&mut self) -> Result<Vec<Call>, String> {
        let mut all = Vec::new();
        while !self.cursor.eat("}") {
            self.line = self.cursor.line();
            if !self.cursor.eat(";") {
                all.push(self.call()?);
            }
        }
        Ok(all)
    }

    /// A call of a gate, for each qubit of the registers that it names.
    fn gates(&mut self) -> Result<(), String> {
        let name = self.cursor.peek(0);
        let call = self.call()?;
        if let Target::Barrier = call.target {
            return self.out.call(&call, &[], &call.operands.concat(), &[], false);
        }
        let count = call.operands.iter().map(Vec::len).max().unwrap_or(0);
        for i in 0..count {
            let mut qubits = Vec::new();
            for list in &call.operands {
                let q = match (list.as_slice(), list.get(i)) {
                    (&[q], _) => q,
                    (all, Some(&q)) if all.len() == count => q,
                    _ => return Err(format!("`{name}` on registers of different sizes")),
                };
                if qubits.contains(&q) {
                    return Err(format!("`{name}` on qubit {q} twice"));
                }
                if self.is_measured(q) {
                    let end = "measurements stand at the end";
                    return Err(format!("`{name}` on qubit {q} after its measurement; {end}"));
                }
                qubits.push(q);
            }
            self.out.call(&call, &[], &qubits, &[], false)?;
        }
        Ok(())
    }
}

//! A student's circuit: the preset `paper`, or any from an OpenQASM 2 file.

use crate::gradient::paper_circuit;
use anyhow::{Result, anyhow, ensure};
use qdllm_host::files;
use qdllm_runtime::circuit::PAPER_ANGLES;
use qdllm_runtime::circuit::fuse::Fused;
use qdllm_runtime::circuit::program::Program;
use qdllm_runtime::circuit::qasm::{Circuit, QasmError};
use qdllm_runtime::format::encode::program_section;
use std::path::Path;

#[derive(Clone, Debug)]
pub struct Ansatz {
    pub fused: Fused,
    pub parameters: usize,
    /// In the writer's own spelling; `None` for the preset.
    pub qasm: Option<String>,
}

impl Ansatz {
    pub fn paper() -> Self {
        Self { fused: paper_circuit(), parameters: PAPER_ANGLES, qasm: None }
    }

    /// The circuit of a QASM file, read by Z of each measured qubit, or of all if it measures none.
    pub fn read(path: &Path) -> Result<Self> {
        Self::parse(&files::read_text(path)?, path)
    }

    /// The circuit of a QASM text; errors call it `path`.
    pub fn parse(text: &str, path: &Path) -> Result<Self> {
        let path = path.display();
        let refuse = |e: QasmError| anyhow!("{path}:{}: {}", e.line, e.what);
        let circuit = Circuit::read(text).map_err(refuse)?;
        let fused = circuit.fused().map_err(refuse)?;
        let parameters = circuit.names.len();
        // What a model file could not hold is refused before the training, not after it.
        let section = program_section(&fused, &vec![0.0; parameters]);
        ensure!(
            section.is_ok_and(|bytes| Program::parse(&bytes).is_ok()),
            "{path}: the circuit fuses to {} steps with {} phases; a model file holds 255 steps of at most 64 phases each",
            fused.ops.len(),
            fused.angles()
        );
        Ok(Self { fused, parameters, qasm: Some(circuit.write()) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_refused_is_named_with_file_and_line() {
        let head = "OPENQASM 2.0;\ninclude \"qelib1.inc\";\n";
        let long: String = (0..300).map(|i| format!("ry(a{i}) q[0];h q[0];t q[0];\n")).collect();
        for (body, what) in [
            ("qreg q[2];\nfoo q[0],q[1],q[0];", "a.qasm:4: unknown gate `foo`"),
            ("qreg q[12];\nry(a) q;", "a.qasm:1: the circuit has 12 qubits; 11 can be run"),
            ("qreg q[2];\nry(a*b) q[0];", "a.qasm:4: names are multiplied"),
            ("qreg q[2];\nry(a) q;\nrx(x0) q[0];", "a.qasm:5: an input stands alone"),
            ("qreg q[2];\nrx(2*x0) q[0];", "a.qasm:4: an input stands alone"),
            ("qreg q[2];\nrx(x0) q[0];", "qubit 1 has no `rx(x1)`"),
            ("qreg q[2];\nrx(x11) q[0];", "`x11` is not an input; inputs are x0 to x10"),
            (&format!("qreg q[1];\n{long}"), "a model file holds 255 steps"),
        ] {
            let error = Ansatz::parse(&format!("{head}{body}"), Path::new("a.qasm")).unwrap_err();
            assert!(error.to_string().contains(what), "{error}");
        }
        assert!(Ansatz::read(Path::new("absent.qasm")).unwrap_err().to_string().contains("absent"));
    }
}

//! A student's circuit - the preset `paper`, or any from an OpenQASM 2 file -, what stands between features and head, and
//! where each parameter lies in the flat vector.

use super::front_end::FrontEnd;
use crate::gradient::paper_circuit;
use crate::options::HiddenLayer;
use crate::seed::stream;
use anyhow::{Result, anyhow, ensure};
use qdllm_host::files;
use qdllm_runtime::QUBITS;
use qdllm_runtime::angles::Squash;
use qdllm_runtime::circuit::PAPER_ANGLES;
use qdllm_runtime::circuit::fuse::Fused;
use qdllm_runtime::circuit::program::Program;
use qdllm_runtime::circuit::qasm::{Circuit, QasmError};
use qdllm_runtime::format::encode::program_section;
use rand::Rng;
use std::ops::Range;
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

#[derive(Clone, Debug)]
pub struct Shape<F> {
    pub front: F,
    pub classes: usize,
    pub hidden: HiddenLayer,
    pub ansatz: Ansatz,
}

impl<F: FrontEnd> Shape<F> {
    /// Numbers that the head reads: the circuit's expectations, else the features.
    pub fn outputs(&self) -> usize {
        match self.hidden {
            HiddenLayer::Circuit => self.ansatz.fused.outputs.len(),
            _ => QUBITS,
        }
    }

    pub fn weight_range(&self) -> Range<usize> {
        0..self.front.weights()
    }

    pub fn bias_range(&self) -> Range<usize> {
        let start = self.weight_range().end;
        start..start + QUBITS
    }

    pub fn angle_range(&self) -> Range<usize> {
        let start = self.bias_range().end;
        let circuit = self.hidden == HiddenLayer::Circuit;
        start..start + if circuit { self.ansatz.parameters } else { 0 }
    }

    /// Weights by class, then one bias a class.
    pub fn head_range(&self) -> Range<usize> {
        let start = self.angle_range().end;
        start..start + self.classes * (self.outputs() + 1)
    }

    pub fn parameters(&self) -> usize {
        self.head_range().end
    }

    /// Parameters at the start of training, drawn from the stream `init` of the root seed.
    pub fn init(&self, root: u64) -> Vec<f32> {
        let mut rng = stream(root, "init");
        let mut theta = vec![0.0; self.parameters()];
        let mut fill = |range: Range<usize>, bound: f32, theta: &mut [f32]| {
            theta[range].iter_mut().for_each(|x| *x = rng.random_range(-bound..bound));
        };
        fill(self.weight_range(), self.front.initial_bound(), &mut theta);
        fill(self.angle_range(), 0.1, &mut theta);
        let head = self.head_range();
        let outputs = self.outputs();
        let weights = head.start..head.start + self.classes * outputs;
        fill(weights, (6.0 / (outputs + self.classes) as f32).sqrt(), &mut theta);
        // A quarter turn: the middle of the encoder's slope, where tanh is 1/2.
        let turns = matches!(self.hidden, HiddenLayer::Circuit | HiddenLayer::Cosine);
        if turns && self.front.squash() == Squash::PiTanh {
            theta[self.bias_range()].fill(0.5_f32.atanh());
        }
        theta
    }

    pub fn angles_rad(&self, theta: &[f32]) -> Vec<f64> {
        theta[self.angle_range()].iter().map(|&x| f64::from(x)).collect()
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

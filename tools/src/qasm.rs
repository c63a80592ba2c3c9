//! OpenQASM 2 for circuits with numbers for angles, through the runtime's reader and writer.
//!
//! What a name stands for is known to a training run only: here every angle must be a number.

use crate::circuit::{Circuit, Op};
use qdllm_runtime::circuit::gate::{Angle, Gate};
use qdllm_runtime::circuit::qasm::Circuit as Named;
pub use qdllm_runtime::circuit::qasm::{MAX_QUBITS, QasmError};

/// Reads a circuit; refuses names in angles.
pub fn read(text: &str) -> Result<Circuit, QasmError> {
    let read = Named::read(text)?;
    let op = |(i, gate): (usize, &Gate)| {
        let mut angles_rad = [0.0; 3];
        for (to, &angle) in angles_rad.iter_mut().zip(&gate.angles) {
            let name = match angle {
                Angle::Const(x) => {
                    *to = x;
                    continue;
                }
                Angle::Input(i) => format!("x{i}"),
                Angle::Param(p) => name_in(&read, p),
            };
            let what = "is not a number; only `pi` has a name in circuits to compile";
            return Err(QasmError { line: read.line(i), what: format!("`{name}` {what}") });
        }
        Ok(Op { kind: gate.kind, qubits: gate.qubits, angles_rad })
    };
    let ops = read.gates.iter().enumerate().map(op).collect::<Result<_, QasmError>>()?;
    Ok(Circuit { qubits: read.qubits, bits: read.bits, ops, measures: read.measures })
}

fn name_in(circuit: &Named, angle: u16) -> String {
    let parameter = circuit.angles.get(angle as usize).and_then(|a| a.terms.first());
    parameter.and_then(|&(p, _)| circuit.names.get(p as usize)).cloned().unwrap_or_default()
}

/// Writes a circuit; a `barrier` stands before the measurements (compilers that see none have been
/// observed to move gates past them).
pub fn write(circuit: &Circuit) -> String {
    let (gates, measures) = (circuit.ops.iter().map(Op::gate).collect(), circuit.measures.clone());
    let (qubits, bits) = (circuit.qubits, circuit.bits);
    Named { qubits, bits, gates, measures, ..Named::default() }.write()
}

#[cfg(test)]
mod tests {
    use super::*;
    use qdllm_runtime::circuit::gate::GATES;

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
            ("rz(tau) q[0];", 5, "`tau` is not a number"),
            ("h q[0];\nu(1,2,2*t+u) q[0];", 6, "`t` is not a number"),
            ("rx(x0) q[0];", 5, "`x0` is not a number"),
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

//! Circuits with numbers for angles, of at most 256 qubits, and what they cost; OpenQASM through the
//! runtime's reader and writer.
//!
//! What a name stands for is known to a training run only: here every angle must be a number.

use qdllm_runtime::circuit::gate::{Angle, Gate};
use qdllm_runtime::circuit::qasm::QasmError;

pub use qdllm_runtime::circuit::qasm::Circuit;

/// Reads a circuit; refuses names in angles.
pub fn read(text: &str) -> Result<Circuit, QasmError> {
    let circuit = Circuit::read(text)?;
    let name = |angle: &Angle| match *angle {
        Angle::Const(_) => None,
        Angle::Input(i) => Some(format!("x{i}")),
        Angle::Param(p) => {
            let (name, _) = circuit.angles.get(p as usize)?.terms.first()?;
            circuit.names.get(*name as usize).cloned()
        }
    };
    for (i, gate) in circuit.gates.iter().enumerate() {
        if let Some(name) = gate.angles.iter().find_map(name) {
            let what = "is not a number; only `pi` has a name in circuits to compile";
            return Err(QasmError { line: circuit.line(i), what: format!("`{name}` {what}") });
        }
    }
    Ok(circuit)
}

/// The angles of a gate, in radians; 0 for those that it does not take.
pub fn angles_rad(gate: &Gate) -> [f64; 3] {
    gate.angles.map(|angle| if let Angle::Const(x) = angle { x } else { 0.0 })
}

/// The fences of `barriers` that stand right before a gate, given by its number.
pub fn fences_at(barriers: &[(usize, Vec<u8>)], gate: usize) -> impl Iterator<Item = &[u8]> {
    let from = barriers.partition_point(|(at, _)| *at < gate);
    barriers[from..].iter().take_while(move |(at, _)| *at == gate).map(|(_, on)| &on[..])
}

pub fn two_qubit_gates(circuit: &Circuit) -> usize {
    circuit.gates.iter().filter(|gate| gate.on().len() == 2).count()
}

/// Longest chain of gates that share qubits, counting those that `counts` accepts; measurements do not
/// count.
pub fn depth(circuit: &Circuit, counts: impl Fn(&Gate) -> bool) -> usize {
    let qubits = |gate: &Gate| [gate.qubits[0], gate.qubits[gate.on().len() - 1]];
    longest_chain(circuit.gates.iter().map(|gate| (qubits(gate), usize::from(counts(gate)))))
}

/// The longest chain of gates that share qubits; each gate on one or two qubits with its length.
pub fn longest_chain(gates: impl IntoIterator<Item = ([u8; 2], usize)>) -> usize {
    let mut level = [0; 256];
    for ([a, b], length) in gates {
        let next = level[a as usize].max(level[b as usize]) + length;
        (level[a as usize], level[b as usize]) = (next, next);
    }
    level.into_iter().max().unwrap_or(0)
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
            let mut gate = Gate::fixed(info.kind, (i % 3) as u8, ((i + 1) % 3) as u8);
            if info.qubits == 1 {
                gate.qubits[1] = gate.qubits[0];
            }
            for angle in &mut gate.angles[..info.angles] {
                *angle = Angle::Const(1e-17 - 0.1 * i as f64);
            }
            circuit.gates.push(gate);
        }
        assert_eq!(read(&circuit.write()).unwrap(), circuit);
    }

    #[test]
    fn registers_broadcast_and_expressions_are_evaluated() {
        let circuit =
            read(&format!("{HEAD}h q; cx q[0],q[2]; // note\n rz(-pi/\n2) q[1];measure q->c;"))
                .unwrap();
        assert_eq!(circuit.gates.len(), 5);
        assert_eq!(angles_rad(&circuit.gates[4])[0], -std::f64::consts::FRAC_PI_2);
        assert_eq!(circuit.measures, [(0, 0), (1, 1), (2, 2)]);
    }

    #[test]
    fn what_is_refused_is_named_with_its_line() {
        for (body, line, what) in [
            ("h q[0];\nfoo q[0],q[1],q[2];", 6, "unknown gate `foo`"),
            ("rx q[0];", 5, "takes 1 angles"),
            ("cx q[0],q[0];", 5, "twice"),
            ("cx q[0];", 5, "takes 2 qubits"),
            ("h q[3];", 5, "outside the register"),
            ("h r[0];", 5, "not declared"),
            ("measure q[0]->c[0];\nh q[0];", 6, "after its measurement"),
            ("measure q[0]->c[0];\nmeasure q[1]->c[0];", 6, "written twice"),
            ("gate foo a {\nx a;\ny b;\n}", 7, "`b` is no qubit of this gate"),
            ("if(c==1) x q[0];", 5, "decided while a program runs"),
            ("qreg q[2];", 5, "declared twice"),
            ("qreg r[999];", 5, "possible"),
            ("rz(tau) q[0];", 5, "`tau` is not a number"),
            ("h q[0];\nu(1,2,2*t+u) q[0];", 6, "`t` is not a number"),
            ("rx(x0) q[0];", 5, "`x0` is not a number"),
            ("h q[0]", 5, "`,` expected at the end of the text"),
        ] {
            let error = read(&format!("{HEAD}{body}")).unwrap_err();
            assert_eq!(error.line, line, "{body}: {error}");
            assert!(error.what.contains(what), "{body}: {error}");
        }
        assert!(read("qreg q[1];").is_err());
        assert!(read("OPENQASM 4.0; qreg q[1];").is_err());
    }
}

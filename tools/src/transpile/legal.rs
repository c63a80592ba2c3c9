//! Whether a processor can run a circuit as it stands: its qubits, its gates, its couplers.

use crate::circuit::Circuit;
use crate::processor::topology::Processor;
use qdllm_runtime::circuit::gate::GateKind;

/// What a circuit asks for that the chip does not have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Illegal {
    /// A qubit outside the chip.
    #[error("qubit {qubit}; {chip} has {qubits}, numbered from 0")]
    Qubit {
        /// The qubit.
        qubit: u8,
        /// The chip.
        chip: String,
        /// Its qubits.
        qubits: usize,
    },
    /// Not a gate of the chip.
    #[error("gate `{0}`; the chip runs h, rx, ry, rz, u and cz, so this circuit must be compiled")]
    Gate(&'static str),
    /// A gate on qubits without a coupler.
    #[error(
        "`{gate}` on qubits {a} and {b}, which {chip} does not couple; compile it for this chip"
    )]
    Pair {
        /// The gate.
        gate: &'static str,
        /// A qubit.
        a: u8,
        /// The other.
        b: u8,
        /// The chip.
        chip: String,
    },
}

/// Refuses a circuit that would have to be compiled first.
///
/// # Errors
/// [`Illegal`] names the first fault.
pub fn legal(circuit: &Circuit, processor: &Processor) -> Result<(), Illegal> {
    use GateKind as K;
    let chip = || processor.name.clone();
    if let Some(&qubit) = circuit.used().iter().find(|&&q| q as usize >= processor.qubits) {
        return Err(Illegal::Qubit { qubit, chip: chip(), qubits: processor.qubits });
    }
    for op in &circuit.ops {
        let gate = op.kind.info().name;
        if !matches!(op.kind, K::H | K::Rx | K::Ry | K::Rz | K::U | K::Cz) {
            return Err(Illegal::Gate(gate));
        }
        if let &[a, b] = op.on()
            && !processor.coupled(a, b)
        {
            return Err(Illegal::Pair { gate, a, b, chip: chip() });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::qasm;

    #[test]
    fn the_first_fault_is_named() {
        let line = Processor::named("line:3").unwrap();
        let check = |body: &str| {
            let text = format!("OPENQASM 2.0;\nqreg q[4];\ncreg c[1];\n{body}measure q[0]->c[0];");
            legal(&qasm::read(&text).unwrap(), &line)
        };
        assert_eq!(check("u(1,2,3) q[0]; h q[1]; cz q[1],q[0];"), Ok(()));
        assert!(check("h q[3];").unwrap_err().to_string().contains("qubit 3; line:3 has 3"));
        assert!(check("cx q[0],q[1];").unwrap_err().to_string().contains("gate `cx`"));
        assert!(check("cz q[0],q[2];").unwrap_err().to_string().contains("on qubits 0 and 2"));
    }
}

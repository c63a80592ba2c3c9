//! Runs a circuit: compiled where that is asked for, simulated, and sampled.

use super::chip_info::Chip;
use crate::circuit::Circuit;
use crate::noise::{Figures, NoiseModel, Sampler};
use crate::qasm;
use crate::transpile::native;
use crate::transpile::source::Source;
use crate::transpile::{Options, Plan};
use qdllm_runtime::circuit::QUBITS;
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Noise {
    None,
    /// The chip's own noise, with figures that replace it.
    Chip(Figures),
}

#[derive(Clone, Debug)]
pub struct Run {
    pub circuit: String,
    pub shots: u32,
    /// Compile for the chip; else the qubits are the chip's own.
    pub compile: bool,
    /// The chip's qubit of each qubit of the circuit, where given.
    pub target_qubits: Vec<u8>,
    /// Numbers equal circuits, so that they get shots of their own.
    pub occurrence: u64,
}

#[derive(Clone, Debug)]
pub struct Ran {
    pub counts: BTreeMap<String, u64>,
    pub executed: String,
    pub measures: Vec<(u8, u8)>,
    pub bits: usize,
}

/// Runs a circuit on a chip, or on a simulator without couplings.
///
/// # Errors
/// A text that says why the task failed.
pub fn execute(run: &Run, chip: Option<&Chip>, noise: Noise, seed: u64) -> Result<Ran, String> {
    let circuit = qasm::read(&run.circuit).map_err(|e| e.to_string())?;
    if circuit.measures.is_empty() {
        return Err("the circuit measures nothing".into());
    }
    let circuit = match chip {
        None => circuit,
        Some(chip) if run.compile => compiled(circuit, chip)?,
        Some(chip) => {
            let circuit = moved(circuit, &run.target_qubits)?;
            native::check(&circuit, &chip.device).map_err(|e| e.to_string())?;
            circuit
        }
    };
    let mut hash = Sha256::new();
    hash.update(seed.to_le_bytes());
    hash.update(run.occurrence.to_le_bytes());
    hash.update(run.shots.to_le_bytes());
    hash.update(run.circuit.as_bytes());
    let seed = hash.finalize().iter().take(8).fold(0, |n, &byte| n << 8 | u64::from(byte));
    let model = match (noise, chip) {
        (Noise::Chip(overrides), Some(chip)) => NoiseModel::of(&chip.device, &overrides),
        _ => NoiseModel::none(),
    };
    let sampler = Sampler::new(&circuit, &model).map_err(|e| e.to_string())?;
    Ok(Ran {
        counts: sampler.counts(run.shots.into(), seed),
        executed: qasm::write(&circuit),
        measures: circuit.measures.clone(),
        bits: circuit.bits,
    })
}

/// The circuit laid out on the chip, one circuit whose every bit is read as it was.
fn compiled(circuit: Circuit, chip: &Chip) -> Result<Circuit, String> {
    if circuit.used().len() > QUBITS {
        return Err(format!("{} qubits; {QUBITS} can be compiled here", circuit.used().len()));
    }
    let mut bits: Vec<u8> = circuit.measures.iter().map(|m| m.1).collect();
    bits.sort_unstable();
    let source = Source::from_circuit(&circuit).map_err(|e| e.to_string())?;
    let options = Options { rewrite: false, tries: 20, ..Options::default() };
    let plan = Plan::new(source, &chip.device, options).map_err(|e| e.to_string())?;
    let mut all = plan.compile(&[]).map_err(|e| e.to_string())?;
    let Some(first) = all.pop() else { return Err("nothing was compiled".into()) };
    // Output `i` of the source is its `i`-th bit; here each is one measured bit.
    let qubit = |bit: u8| first.circuit.measures.iter().find(|m| m.1 == bit).map(|m| m.0);
    let mut measures = Vec::new();
    for (readout, &bit) in first.readouts.iter().zip(&bits) {
        match (readout.bits.as_slice(), readout.negated) {
            (&[only], false) => measures.extend(qubit(only).map(|q| (q, bit))),
            _ => return Err("a bit would be read from several qubits".into()),
        }
    }
    Ok(Circuit { bits: circuit.bits, measures, ..first.circuit })
}

/// The circuit on the chip's qubits that `targets` gives; without any, its own numbers are the chip's.
fn moved(mut circuit: Circuit, targets: &[u8]) -> Result<Circuit, String> {
    if targets.is_empty() {
        return Ok(circuit);
    }
    let to = |q: u8| targets.get(q as usize).copied().ok_or("target_qubits are too few");
    for op in &mut circuit.ops {
        let [a, b] = op.qubits;
        op.qubits = [to(a)?, to(b)?];
    }
    for measure in &mut circuit.measures {
        measure.0 = to(measure.0)?;
    }
    circuit.qubits = targets.iter().max().map_or(0, |&q| q as usize + 1);
    Ok(circuit)
}

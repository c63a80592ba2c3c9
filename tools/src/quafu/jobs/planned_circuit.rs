//! What is to be sent: circuits from a file, from a folder of `transpile`, or of a model's texts.

use super::JobError;
use super::job::{Job, State, Text, VERSION, random_hex, uuid};
use crate::circuit::Circuit;
use crate::deploy::{DeployError, Deployment, bit_errors};
use crate::processor::topology::Processor;
use crate::qasm::{self, QasmError};
use crate::readout::BitError;
use crate::readout::Readout;
use crate::transpile::Compiled;
use serde::Deserialize;
use std::path::{Path, PathBuf};

#[derive(Clone, Debug, PartialEq)]
pub struct PlannedCircuit {
    /// Which text or circuit it belongs to, from 0.
    pub item: usize,
    pub weight: f64,
    pub circuit: Circuit,
    /// The source's outputs from the measured bits.
    pub readouts: Vec<Readout>,
}

#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PlanError {
    #[error(transparent)]
    File(#[from] JobError),
    #[error("{}: {source}", path.display())]
    Qasm { path: PathBuf, source: QasmError },
    #[error("{}: {what}", path.display())]
    Illegal { path: PathBuf, what: String },
    #[error("line {line}: {source}")]
    Text {
        /// Line of the data file, from 1; 0: from the command line.
        line: usize,
        source: DeployError,
    },
}

#[derive(Deserialize)]
struct Table {
    circuits: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    file: String,
    weight: f64,
    readouts: Vec<Readout>,
}

/// A circuit as it stands; each measured bit is an output.
pub fn circuit(path: &Path) -> Result<PlannedCircuit, PlanError> {
    let circuit = read(path)?;
    let mut bits: Vec<u8> = circuit.measures.iter().map(|m| m.1).collect();
    bits.sort_unstable();
    let readouts =
        bits.into_iter().map(|bit| Readout { bits: vec![bit], negated: false }).collect();
    Ok(PlannedCircuit { item: 0, weight: 1.0, circuit, readouts })
}

fn read(path: &Path) -> Result<Circuit, PlanError> {
    let text = std::fs::read_to_string(path)
        .map_err(|source| JobError::File { path: path.into(), source })?;
    let circuit =
        qasm::read(&text).map_err(|source| PlanError::Qasm { path: path.into(), source })?;
    let illegal = |what: &str| PlanError::Illegal { path: path.into(), what: what.into() };
    if circuit.measures.is_empty() {
        return Err(illegal("measures nothing; add `measure q -> c;` for what is to be read"));
    }
    if circuit.measures.len() != circuit.bits {
        return Err(illegal(
            "leaves classical bits unwritten; declare only those that it measures",
        ));
    }
    Ok(circuit)
}

/// The circuits and the read-out table that `transpile -o` wrote.
pub fn folder(path: &Path) -> Result<Vec<PlannedCircuit>, PlanError> {
    let table_path = path.join("readout.json");
    let table: Table = super::json_file::read(&table_path)?;
    let bad = |what: String| JobError::Content { path: table_path.clone(), what };
    let total: f64 = table.circuits.iter().map(|c| c.weight).sum();
    if total.is_nan() || (total - 1.0).abs() > 1e-6 {
        return Err(bad(format!("the weights sum to {total}, not to 1")).into());
    }
    let outputs = table.circuits.first().map_or(0, |c| c.readouts.len());
    let mut drafts = Vec::new();
    for entry in table.circuits {
        let plain = Path::new(&entry.file).file_name().is_some_and(|n| n == entry.file.as_str());
        if !plain {
            return Err(bad(format!("`{}` is no file of this folder", entry.file)).into());
        }
        let circuit = read(&path.join(&entry.file))?;
        if entry.readouts.len() != outputs {
            return Err(bad(format!("`{}` has another number of outputs", entry.file)).into());
        }
        let most = circuit.bits;
        let named = entry.readouts.iter().flat_map(|r| &r.bits);
        if let Some(bit) = named.copied().find(|&b| b as usize >= most) {
            let what = format!("`{}` has {most} bits; a read-out names c[{bit}]", entry.file);
            return Err(bad(what).into());
        }
        drafts.push(PlannedCircuit {
            item: 0,
            weight: entry.weight,
            circuit,
            readouts: entry.readouts,
        });
    }
    Ok(drafts)
}

/// The circuits of all texts; the layout is searched once, each text sets angles. `step` is called
/// after each text.
pub fn texts(
    deployment: &Deployment<'_>,
    texts: &[Text],
    mut step: impl FnMut(),
) -> Result<Vec<PlannedCircuit>, PlanError> {
    let mut drafts = Vec::new();
    for (item, text) in texts.iter().enumerate() {
        let compiled = deployment
            .compile(&text.text)
            .map_err(|source| PlanError::Text { line: text.line, source })?;
        drafts.extend(compiled.into_iter().map(|c| of(item, c)));
        step();
    }
    Ok(drafts)
}

pub fn of(item: usize, compiled: Compiled) -> PlannedCircuit {
    let Compiled { weight, circuit, readouts } = compiled;
    PlannedCircuit { item, weight, circuit, readouts }
}

/// The jobs of a batch, each with a name that no other job anywhere has.
pub fn jobs(drafts: Vec<PlannedCircuit>, device: Option<&Processor>) -> Vec<Job> {
    let batch = random_hex(10);
    let job = |(i, draft): (usize, PlannedCircuit)| Job {
        version: VERSION,
        number: i + 1,
        name: format!("qdllm-{batch}-{:05}", i + 1),
        client_ref: uuid(),
        item: draft.item,
        weight: draft.weight,
        bits: draft.circuit.bits,
        qasm: qasm::write(&draft.circuit),
        bit_errors: device.and_then(|d| errors(&draft, d)),
        readouts: draft.readouts,
        state: State::Ready,
        earlier: Vec::new(),
    };
    drafts.into_iter().enumerate().map(job).collect()
}

/// How each classical bit is misread, where the chip says so of all measured qubits.
fn errors(draft: &PlannedCircuit, device: &Processor) -> Option<Vec<BitError>> {
    let compiled =
        Compiled { weight: draft.weight, circuit: draft.circuit.clone(), readouts: Vec::new() };
    bit_errors(&compiled, |q| device.bit_error(q)).ok()
}

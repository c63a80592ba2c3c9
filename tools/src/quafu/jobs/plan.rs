//! What is to be sent: circuits from a file or from a folder of `transpile`, and the jobs of circuits.

use super::{Job, JobError, State, VERSION, random_hex, store, uuid};
use crate::circuit::{self, Circuit};
use crate::processor::Processor;
use crate::readout::Readout;
use crate::transpile::Compiled;
use serde::Deserialize;
use std::path::Path;

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
pub fn circuit(path: &Path) -> Result<Compiled, JobError> {
    let circuit = read(path)?;
    let mut bits: Vec<u8> = circuit.measures.iter().map(|m| m.1).collect();
    bits.sort_unstable();
    let readouts =
        bits.into_iter().map(|bit| Readout { bits: vec![bit], negated: false }).collect();
    Ok(Compiled { weight: 1.0, circuit, readouts })
}

fn read(path: &Path) -> Result<Circuit, JobError> {
    let text = std::fs::read_to_string(path).map_err(JobError::of(path))?;
    let circuit = circuit::read(&text).map_err(|e| JobError::content(path, e.to_string()))?;
    let what = match circuit.measures.len() {
        0 => "measures nothing; add `measure q -> c;` for what is to be read",
        n if n == circuit.bits => return Ok(circuit),
        _ => "leaves classical bits unwritten; declare only those that it measures",
    };
    Err(JobError::content(path, what))
}

/// The circuits and the read-out table that `transpile -o` wrote.
pub fn folder(path: &Path) -> Result<Vec<Compiled>, JobError> {
    let table_path = path.join("readout.json");
    let table: Table = store::read(&table_path)?;
    let bad = |what: String| Err(JobError::content(&table_path, what));
    let total: f64 = table.circuits.iter().map(|c| c.weight).sum();
    if total.is_nan() || (total - 1.0).abs() > 1e-6 {
        return bad(format!("the weights sum to {total}, not to 1"));
    }
    let outputs = table.circuits.first().map_or(0, |c| c.readouts.len());
    let mut all = Vec::new();
    for Entry { file, weight, readouts } in table.circuits {
        if Path::new(&file).file_name().is_none_or(|n| n != file.as_str()) {
            return bad(format!("`{file}` is no file of this folder"));
        }
        let circuit = read(&path.join(&file))?;
        if readouts.len() != outputs {
            return bad(format!("`{file}` has another number of outputs"));
        }
        let most = circuit.bits;
        if let Some(bit) = readouts.iter().flat_map(|r| &r.bits).find(|&&b| b as usize >= most) {
            return bad(format!("`{file}` has {most} bits; a read-out names c[{bit}]"));
        }
        all.push(Compiled { weight, circuit, readouts });
    }
    Ok(all)
}

/// The jobs of a batch, each with a name that no other job anywhere has. A circuit comes with the number of
/// its text, from 0; `device` says how its qubits are misread, where they are the chip's own.
pub fn jobs(circuits: Vec<(usize, Compiled)>, device: Option<&Processor>) -> Vec<Job> {
    let batch = random_hex(10);
    let job = |(i, (item, compiled)): (usize, (usize, Compiled))| Job {
        version: VERSION,
        number: i + 1,
        name: format!("qdllm-{batch}-{:05}", i + 1),
        client_ref: uuid(),
        item,
        weight: compiled.weight,
        bits: compiled.circuit.bits,
        qasm: compiled.circuit.write(),
        bit_errors: device.and_then(|d| compiled.bit_errors(|q| d.bit_error(q))),
        readouts: compiled.readouts,
        state: State::Ready,
        earlier: Vec::new(),
    };
    circuits.into_iter().enumerate().map(job).collect()
}

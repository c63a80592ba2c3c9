//! `qdllm-hw draw`: a circuit as text or SVG, as it is or compiled.

use crate::circuit::Circuit;
use crate::commands::{From, How};
use crate::draw::svg::svg;
use crate::draw::text;
use crate::qasm;
use crate::transpile::Plan;
use anyhow::{Context, Result};
use clap::Args;
use qdllm_host::files;
use serde::Serialize;
use std::path::PathBuf;

/// Draw a circuit as text or SVG
///
/// Examples:
///   qdllm-hw draw model.qdm "turn on the light"
///   qdllm-hw draw --qasm circuit.qasm --svg circuit.svg
///   qdllm-hw draw --qasm circuit.qasm --compiled --target line:11
#[derive(Args, Debug)]
#[command(verbatim_doc_comment)]
pub struct DrawArgs {
    /// Where the circuit comes from
    #[command(flatten)]
    pub from: From,
    /// Draw what `transpile` would give
    #[arg(long)]
    pub compiled: bool,
    /// How to compile
    #[command(flatten)]
    pub how: How,
    /// Write SVG to this file instead; of several circuits, number 2 and on get `.2` and on
    #[arg(long, value_name = "FILE")]
    pub svg: Option<PathBuf>,
    /// Print as JSON: one object a circuit, with its drawing and its size
    #[arg(long)]
    pub json: bool,
}

#[derive(Serialize)]
struct Drawing {
    qubits: usize,
    gates: usize,
    two_qubit_gates: usize,
    depth: usize,
    weight: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<PathBuf>,
}

pub fn run(args: &DrawArgs) -> Result<()> {
    let circuits = circuits(args)?;
    let mut drawings = Vec::new();
    for (i, (weight, circuit)) in circuits.iter().enumerate() {
        let mut drawing = Drawing {
            qubits: circuit.used().len(),
            gates: circuit.ops.len(),
            two_qubit_gates: circuit.two_qubit_gates(),
            depth: circuit.depth(|_| true),
            weight: *weight,
            text: None,
            file: None,
        };
        match &args.svg {
            Some(path) => {
                let path = if i == 0 {
                    path.clone()
                } else {
                    path.with_extension(format!("{}.svg", i + 1))
                };
                files::write(&path, svg(circuit))?;
                drawing.file = Some(path);
            }
            None => drawing.text = Some(text(circuit)),
        }
        drawings.push(drawing);
    }
    if args.json {
        println!("{}", serde_json::to_string_pretty(&drawings)?);
        return Ok(());
    }
    for (i, drawing) in drawings.iter().enumerate() {
        if drawings.len() > 1 {
            println!("circuit {} of {}, weight {:.6}", i + 1, drawings.len(), drawing.weight);
        }
        match (&drawing.text, &drawing.file) {
            (Some(text), _) => print!("{text}"),
            (None, Some(file)) => println!("{}", file.display()),
            _ => {}
        }
    }
    Ok(())
}

fn circuits(args: &DrawArgs) -> Result<Vec<(f64, Circuit)>> {
    if !args.compiled {
        // A file is drawn as it stands, with its own qubit numbers and measurements or without.
        if let Some(path) = &args.from.qasm {
            let name = path.display().to_string();
            let text =
                std::fs::read_to_string(path).with_context(|| format!("{name}: cannot be read"))?;
            return Ok(vec![(1.0, qasm::read(&text).context(name)?)]);
        }
        let (source, inputs) = args.from.read()?;
        return Ok(vec![(1.0, source.with_inputs(&inputs))]);
    }
    let (source, inputs) = args.from.read()?;
    let plan = Plan::new(source, &args.how.processor()?, args.how.options())?;
    Ok(plan.compile(&inputs)?.into_iter().map(|c| (c.weight, c.circuit)).collect())
}

//! `qdllm-hw draw`: a circuit as text or SVG, as it is or compiled.

use crate::circuit::{self, Circuit, depth, two_qubit_gates};
use crate::commands::{From, How, print, processor};
use crate::draw::{svg, text};
use anyhow::Result;
use clap::Args;
use qdllm_host::errors::{OfFile as _, wrong_use};
use qdllm_host::{files, guard, terminal};
use serde::Serialize;
use std::path::PathBuf;

/// Draw a circuit as text or SVG
///
/// Examples:
///   qdllm-hw draw model.qdm "turn on the light"
///   qdllm-hw draw --qasm circuit.qasm -o circuit.svg
///   qdllm-hw draw --qasm circuit.qasm --compiled --target line:11
#[derive(Args, Debug)]
#[command(verbatim_doc_comment)]
pub struct DrawArgs {
    #[command(flatten)]
    pub from: From,
    /// Draw what `transpile` would give
    #[arg(long)]
    pub compiled: bool,
    #[command(flatten)]
    pub how: How,
    /// Write to this file, .svg or .txt, instead; of several circuits, number 2 and on get `.2` and on
    #[arg(long, short, alias = "svg", value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Characters of a line, where the drawing is folded; 0: never [default: the
    /// terminal's, or 80; in a file and with --json never]
    #[arg(long, value_name = "N")]
    pub width: Option<usize>,
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
    let ending = args.out.as_ref().and_then(|path| path.extension()?.to_str()).unwrap_or("txt");
    if !["svg", "txt"].contains(&ending) {
        return Err(wrong_use(format_args!("--out ends in .{ending}; give .svg or .txt")));
    }
    let circuits = circuits(args)?;
    let width = match args.width {
        Some(0) => usize::MAX,
        Some(width) => width,
        None if args.json || args.out.is_some() => usize::MAX,
        None => terminal::width(),
    };
    let numbered = |i: usize| match (&args.out, i) {
        (Some(path), 1..) => Some(path.with_extension(format!("{}.{ending}", i + 1))),
        (path, _) => path.clone(),
    };
    let files: Vec<PathBuf> = (0..circuits.len()).filter_map(numbered).collect();
    guard::writes(&files)?;
    let mut drawings = Vec::new();
    let mut words = String::new();
    for (i, (weight, circuit)) in circuits.iter().enumerate() {
        let file = files.get(i).cloned();
        let shown = file.is_none().then(|| text(circuit, width));
        if circuits.len() > 1 {
            words += &format!("circuit {} of {}, weight {weight:.6}\n", i + 1, circuits.len());
        }
        if let Some(file) = &file {
            let drawn = if ending == "svg" { svg(circuit) } else { text(circuit, width) };
            files::write(file, drawn)?;
            words += &format!("{}\n", file.display());
        }
        words += shown.as_deref().unwrap_or_default();
        drawings.push(Drawing {
            qubits: circuit.used().len(),
            gates: circuit.gates.len(),
            two_qubit_gates: two_qubit_gates(circuit),
            depth: depth(circuit, |_| true),
            weight: *weight,
            text: shown,
            file,
        });
    }
    print(args.json, &drawings, words.strip_suffix('\n').unwrap_or(&words))
}

fn circuits(args: &DrawArgs) -> Result<Vec<(f64, Circuit)>> {
    if args.compiled {
        let (source, inputs) = args.from.read()?;
        let plan = args.how.search.plan(source, &processor(&args.how.target)?)?;
        return Ok(plan.compile(&inputs)?.into_iter().map(|c| (c.weight, c.circuit)).collect());
    }
    let circuit = match &args.from.qasm {
        // A file is drawn as it stands, with its own qubit numbers and measurements or without.
        Some(path) => circuit::read(&files::read_text(path)?).of_file(path)?,
        None => {
            let (source, inputs) = args.from.read()?;
            source.with_inputs(&inputs)
        }
    };
    Ok(vec![(1.0, circuit)])
}

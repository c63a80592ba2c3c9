//! `qdllm-hw transpile`: a circuit compiled for a processor, as QASM files and a read-out table.

use crate::commands::{From, How, print, processor};
use crate::readout::Readout;
use crate::transpile::Compiled;
use crate::transpile::check::{Report, TOLERANCE};
use crate::transpile::source::Bit;
use anyhow::Result;
use clap::{Args, ValueEnum};
use qdllm_host::terminal::note;
use qdllm_host::{files, guard};
use qdllm_runtime::circuit::qasm::Form;
use serde::Serialize;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Compile a circuit for a processor
///
/// Writes circuit-1.qasm, circuit-2.qasm, ... (physical qubits) and readout.json into the folder of
/// -o: the weight of each circuit, and for each output the classical bits whose parity it is. The
/// expectation of output k is the sum over circuits of weight x (-1)^negated x the mean of
/// (-1)^(number of ones among its bits); `outputs` names the register and bit of the source that it is.
/// Without -o only the report is printed.
///
/// Examples:
///   qdllm-hw transpile model.qdm "turn on the light" -o compiled
///   qdllm-hw transpile --qasm circuit.qasm --target grid:3x4 --json
#[derive(Args, Debug)]
#[command(verbatim_doc_comment)]
pub struct TranspileArgs {
    #[command(flatten)]
    pub from: From,
    #[command(flatten)]
    pub how: How,
    /// Folder for the compiled circuits; made if absent
    #[arg(short, long, alias = "output", value_name = "FOLDER")]
    pub out: Option<PathBuf>,
    /// What circuits are written in
    #[arg(long, value_enum, default_value = "qasm2")]
    pub format: Format,
    /// Print as JSON, circuits included
    #[arg(long)]
    pub json: bool,
    /// Say on standard error how long the layout took (once a model) and the rest (once a text)
    #[arg(long)]
    pub timing: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Format {
    /// `OpenQASM` 2.0 with the gates of its first qelib1.inc
    Qasm2,
    /// `OpenQASM` 3.0
    Qasm3,
}

/// What is printed with `--json`, and written as `readout.json` without the QASM texts.
#[derive(Serialize)]
struct Compilation {
    target: String,
    /// Its calibration's date; absent: errors are typical ones.
    calibrated: Option<String>,
    /// The source's own bits, output by output; absent for a model.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    outputs: Vec<Bit>,
    circuits: Vec<CompiledCircuit>,
}

#[derive(Serialize)]
struct CompiledCircuit {
    file: String,
    weight: f64,
    /// Output by output, the classical bits whose parity it is.
    readouts: Vec<Readout>,
    measures: Vec<(u8, u8)>,
    report: Report,
    #[serde(skip_serializing_if = "Option::is_none")]
    qasm: Option<String>,
}

pub fn run(args: &TranspileArgs) -> Result<()> {
    let (source, inputs) = args.from.read()?;
    let device = processor(&args.how.target)?;
    let outputs = source.bits.clone();
    let start = Instant::now();
    let plan = args.how.search.plan(source, &device)?;
    let planned = start.elapsed();
    let compiled = plan.compile(&inputs)?;
    if args.timing {
        // Repeated, because one short run says more about the scheduler than about the work.
        let mut best = Duration::MAX;
        for _ in 0..20 {
            let start = Instant::now();
            plan.compile(&inputs)?;
            best = best.min(start.elapsed());
        }
        let ms = |t: Duration| t.as_secs_f64() * 1e3;
        note(format_args!(
            "layout {:.1} ms; angles and check {:.2} ms, best of 20",
            ms(planned),
            ms(best)
        ));
    }
    let form = match args.format {
        Format::Qasm2 => Form::Two,
        Format::Qasm3 => Form::Three,
    };
    let described = |(i, c): (usize, &Compiled)| CompiledCircuit {
        file: format!("circuit-{}.qasm", i + 1),
        weight: c.weight,
        readouts: c.readouts.clone(),
        measures: c.circuit.measures.clone(),
        report: Report::of(&c.circuit, &device),
        qasm: Some(c.circuit.write_as(form)),
    };
    let mut result = Compilation {
        target: device.name.clone(),
        calibrated: device.calibrated.clone(),
        outputs,
        circuits: compiled.iter().enumerate().map(described).collect(),
    };
    if let Some(folder) = &args.out {
        let names = result.circuits.iter().map(|c| c.file.as_str()).chain(["readout.json"]);
        guard::writes(&names.map(|name| folder.join(name)).collect::<Vec<_>>())?;
        files::create_folder(folder)?;
        let texts: Vec<_> = result.circuits.iter_mut().map(|c| c.qasm.take()).collect();
        for (circuit, text) in result.circuits.iter().zip(&texts) {
            files::write(&folder.join(&circuit.file), text.as_deref().unwrap_or(""))?;
        }
        files::write(&folder.join("readout.json"), &serde_json::to_string_pretty(&result)?)?;
        result.circuits.iter_mut().zip(texts).for_each(|(c, text)| c.qasm = text);
    }
    print(args.json, &result, words(&result))
}

fn words(result: &Compilation) -> String {
    let errors = result.calibrated.as_deref().unwrap_or("none; typical errors are assumed");
    let mut lines = vec![format!("target {}, calibration: {errors}", result.target)];
    for circuit in &result.circuits {
        lines.push(format!("{}  weight {:.6}\n  {}", circuit.file, circuit.weight, circuit.report));
        for (k, readout) in circuit.readouts.iter().enumerate() {
            let bits: Vec<String> = readout.bits.iter().map(|b| format!("c[{b}]")).collect();
            let parity = if bits.is_empty() { "0".into() } else { bits.join(" ^ ") };
            let flip = if readout.negated { " ^ 1" } else { "" };
            let of = result.outputs.get(k);
            let of = of.map_or_else(String::new, |o| format!(" ({}[{}])", o.register, o.bit));
            lines.push(format!("  output {k}{of} = {parity}{flip}"));
        }
    }
    lines.push(format!("equal to the source within {TOLERANCE:e}, by simulation"));
    lines.join("\n")
}

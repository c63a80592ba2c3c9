//! `qdllm inspect`: what a model file holds.

use crate::commands::print;
use crate::inference::{BackEnd, back_ends, load, parse};
use anyhow::Result;
use clap::Args;
use qdllm_runtime::circuit::program::Op;
use qdllm_runtime::circuit::qasm;
use qdllm_runtime::format::Kind;
use qdllm_runtime::format::meta::FrontEnd;
use qdllm_runtime::text::compact::CompactSizes;
use qdllm_runtime::text::ngram::{GramKinds, Runs};
use qdllm_runtime::{Model, Scratch};
use serde::Serialize;
use std::path::PathBuf;

/// Show what a model file holds: bytes by section, RAM, circuit, provenance
#[derive(Args, Debug)]
pub struct InspectArgs {
    /// The model file
    pub model: PathBuf,
    /// Print as JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Serialize)]
struct Inspection<'a> {
    bytes: usize,
    format_version: u16,
    ram_bytes: usize,
    classes: Vec<&'a str>,
    front: String,
    sections: Vec<(&'static str, usize)>,
    circuit: Circuit,
    compiled: Vec<BackEnd>,
    temperature: f32,
    reject_below: f32,
    provenance: Vec<(&'a str, &'a str)>,
}

#[derive(Default, Serialize)]
struct Circuit {
    qubits: usize,
    named_angles: usize,
    fused_phases: usize,
    fused_rotations: usize,
    index_maps: usize,
    outputs: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    qasm: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    angles_rad: Vec<(String, f32)>,
}

pub fn run(args: &InspectArgs) -> Result<()> {
    let bytes = load(&args.model)?;
    print(&inspect(&parse(&bytes, &args.model)?.0), args.json)
}

/// Which n-grams count, in words.
fn counted(kinds: GramKinds) -> String {
    let mut said = match kinds.cut {
        0 => "words".to_owned(),
        n => format!("the first {n} characters of words"),
    };
    said += if kinds.unicode { " by token rules 3" } else { "" };
    said += if kinds.signs { ", digits and signs" } else { "" };
    said += if kinds.prefixes { ", prefixes" } else { "" };
    said += if kinds.bigrams { ", pairs" } else { "" };
    said += if kinds.trigrams { ", triples" } else { "" };
    said += if kinds.edges { ", over the text's ends" } else { "" };
    let Runs { shortest, longest } = kinds.runs;
    if longest > 0 { said + &format!(", runs of {shortest} to {longest} characters") } else { said }
}

fn inspect<'a>(model: &Model<'a>) -> Inspection<'a> {
    let bytes = |kind: Kind| Some(model.container().get(kind)?.len());
    let sections = Kind::ALL.iter().filter_map(|&kind| Some((kind.name(), bytes(kind)?)));
    let mut sections: Vec<(&'static str, usize)> = sections.collect();
    let held: usize = sections.iter().map(|(_, n)| n).sum();
    // What is left is the padding that aligns sections to 4 bytes.
    sections.push(("header, directory, checksum, padding", model.len_bytes() - held));
    let front = match model.meta().front {
        FrontEnd::Words { rows, kinds, row_bits, .. } => {
            let bits = row_bits.bits();
            format!("words: {rows} rows of {bits}-bit integers; {}", counted(kinds))
        }
        FrontEnd::Compact { sizes, .. } => {
            let CompactSizes { rank, code_bits, fingerprint_bits, slots, .. } = sizes;
            format!(
                "compact: about {slots} n-grams of {rank} codes of {code_bits} bits, {fingerprint_bits} bits of fingerprint; {}",
                counted(model.kinds().unwrap_or_default())
            )
        }
        FrontEnd::Dense { inputs } => format!("dense: a vector of {inputs} numbers"),
    };
    let qasm = model.qasm();
    let angles_rad: Vec<(String, f32)> = qasm.as_ref().map_or_else(Vec::new, |qasm| {
        let names = qasm::Circuit::read(qasm.circuit).map(|circuit| circuit.names);
        names.unwrap_or_default().into_iter().zip(qasm.angles_rad()).collect()
    });
    let program = model.program();
    let mut circuit = Circuit {
        qubits: program.qubits(),
        named_angles: model.source().map_or(0, |s| s.angles_rad().count()) + angles_rad.len(),
        outputs: program.outputs(),
        qasm: qasm.map(|qasm| qasm.circuit.to_owned()),
        angles_rad,
        ..Circuit::default()
    };
    for op in program.ops() {
        match op {
            Op::Phases(terms) => circuit.fused_phases += terms.count(),
            Op::Ry(..) => circuit.fused_rotations += 1,
            Op::IndexMap(_) => circuit.index_maps += 1,
        }
    }
    Inspection {
        bytes: model.len_bytes(),
        format_version: model.version(),
        ram_bytes: size_of::<Scratch>(),
        classes: (0..model.classes()).map(|c| model.label(c)).collect(),
        front,
        sections,
        circuit,
        compiled: back_ends(model),
        temperature: model.head().temperature(),
        reject_below: model.head().reject_below(),
        provenance: model.provenance().collect(),
    }
}

impl std::fmt::Display for Inspection<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "size         {} bytes, format {}", self.bytes, self.format_version)?;
        for (name, bytes) in &self.sections {
            writeln!(f, "             {bytes:>7}  {name}")?;
        }
        writeln!(f, "RAM          {} bytes beside the stack", self.ram_bytes)?;
        writeln!(f, "classes      {}: {}", self.classes.len(), self.classes.join(", "))?;
        let (front, c) = (&self.front, &self.circuit);
        writeln!(f, "front end    {front}")?;
        writeln!(
            f,
            "circuit      {} qubits, {} named angles; fused: {} phases, {} rotations, {} index maps, {} read-outs",
            c.qubits, c.named_angles, c.fused_phases, c.fused_rotations, c.index_maps, c.outputs
        )?;
        for b in &self.compiled {
            writeln!(f, "back end     {}: {}, {} bytes", b.name, b.made_of, b.section_bytes)?;
            let m = &b.measured;
            writeln!(
                f,
                "             {:.4} of {} texts as the statevector ({} asked), logits within {:.4}, {} bytes of RAM, {} multiply-adds",
                m.agreement, m.texts, m.asked, m.largest_logit_error, m.ram_bytes, m.multiply_adds
            )?;
        }
        if let Some(qasm) = &c.qasm {
            qasm.lines().try_for_each(|line| writeln!(f, "             {line}"))?;
            for (name, angle) in &c.angles_rad {
                writeln!(f, "             {name} = {angle}")?;
            }
        }
        let (temperature, least) = (self.temperature, self.reject_below);
        writeln!(f, "temperature  {temperature:.4}\nrejects      below probability {least}")?;
        for (name, value) in &self.provenance {
            writeln!(f, "{name:12} {value}")?;
        }
        Ok(())
    }
}

//! `qdllm compile`: a model with a smaller way to run it, measured against the statevector.

use crate::checkpoint::write_whole;
use crate::commands::eval::read_labelled;
use crate::commands::load;
use crate::compile::polynomial;
use crate::data::BadRows;
use anyhow::{Context, Result, ensure};
use clap::{Args, ValueEnum};
use qdllm_runtime::format::{ENTRY_BYTES, Kind, write};
use qdllm_runtime::meta::Front;
use qdllm_runtime::{Model, Probabilities};
use serde::Serialize;
use std::path::PathBuf;

/// Add a compiled back end to a model
///
/// Finds the smallest that decides at least the asked share of texts as the exact circuit does.
/// Every second text chooses it; the share is reported on the others and written into the file. The
/// statevector stays in the file, so readers without the back end run that.
#[derive(Args, Debug)]
pub struct CompileArgs {
    /// The model file
    pub model: PathBuf,
    /// The back end
    #[arg(long)]
    pub backend: BackEnd,
    /// Share of decisions that must equal the exact circuit's, over 0, at most 1
    #[arg(long, default_value_t = 0.999)]
    pub agreement: f64,
    /// Labelled texts like those the model will see: .tsv, .csv or .jsonl
    #[arg(long)]
    pub data: PathBuf,
    /// What to do with bad rows
    #[arg(long, default_value = "refuse")]
    pub bad_rows: BadRows,
    /// The file to write
    #[arg(long, short)]
    pub out: PathBuf,
    /// Print as JSON
    #[arg(long)]
    pub json: bool,
}

/// Back ends that can be compiled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum BackEnd {
    /// The largest monomials in the cosines and sines of the encoder angles
    Polynomial,
}

#[derive(Serialize)]
struct Report {
    backend: &'static str,
    monomials: usize,
    asked: f32,
    agreement: f32,
    texts: u32,
    largest_logit_error: f32,
    section_bytes: usize,
    file_bytes: usize,
    ram_bytes: usize,
    multiply_adds: u32,
}

/// Runs the command.
///
/// # Errors
/// When a file cannot be read, a label is unknown to the model, or nothing agrees well enough; then
/// nothing is written.
pub fn run(args: &CompileArgs) -> Result<()> {
    let bytes = load(&args.model)?;
    let model = Model::parse(&bytes).with_context(|| args.model.display().to_string())?;
    ensure!(
        matches!(model.meta().front, Front::Words { .. }),
        "{}: takes vectors, not texts; only models of texts can be compiled",
        args.model.display()
    );
    let classes: Vec<String> = (0..model.classes()).map(|c| model.label(c).to_owned()).collect();
    let (texts, _) = read_labelled(&args.data, args.bad_rows, &classes)?;
    let compiled = polynomial(&model, &texts, args.agreement)
        .with_context(|| args.data.display().to_string())?;
    let mut sections: Vec<(Kind, Vec<u8>)> = Kind::ALL
        .iter()
        .filter(|&&kind| kind != Kind::Polynomial)
        .filter_map(|&kind| Some((kind, model.container().get(kind)?.to_vec())))
        .collect();
    let section_bytes = compiled.section.len() + ENTRY_BYTES;
    sections.push((Kind::Polynomial, compiled.section));
    let file = write(&sections);
    Model::parse(&file).context("internal error: the compiled model would be refused")?;
    write_whole(&args.out, &file)
        .with_context(|| format!("{}: cannot be written", args.out.display()))?;
    let measured = compiled.measured;
    let report = Report {
        backend: "polynomial",
        monomials: compiled.monomials,
        asked: measured.asked,
        agreement: measured.agreement,
        texts: measured.texts,
        largest_logit_error: measured.largest_logit_error,
        section_bytes,
        file_bytes: file.len(),
        ram_bytes: size_of::<Probabilities>(),
        multiply_adds: measured.multiply_adds,
    };
    if args.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        print!("{report}");
    }
    Ok(())
}

impl std::fmt::Display for Report {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "back end      {}, {} monomials", self.backend, self.monomials)?;
        writeln!(
            f,
            "agreement     {:.4} of {} texts that did not choose it ({} asked)",
            self.agreement, self.texts, self.asked
        )?;
        writeln!(f, "logit error   {:.4} at most", self.largest_logit_error)?;
        writeln!(f, "size          {} bytes more, {} in all", self.section_bytes, self.file_bytes)?;
        writeln!(f, "RAM           {} bytes beside the stack", self.ram_bytes)?;
        writeln!(f, "arithmetic    {} multiply-adds", self.multiply_adds)
    }
}

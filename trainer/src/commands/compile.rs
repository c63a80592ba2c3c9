//! `qdllm compile`: a model with a smaller way to run it, measured against the statevector.

use crate::commands::print;
use crate::compile::{Compiled, Task, polynomial, statevector_i16, tensor_train};
use crate::data::RowOptions;
use crate::data::labelled::read_labelled;
use crate::inference::{load, parse};
use crate::options::OverDefaults;
use anyhow::{Context, Result, ensure};
use clap::{Args, ValueEnum};
use qdllm_host::errors::OfFile as _;
use qdllm_host::files;
use qdllm_runtime::Model;
use qdllm_runtime::compiled::Measured;
use qdllm_runtime::compiled::tensor_train::Cores;
use qdllm_runtime::format::{ENTRY_BYTES, Kind, write};
use serde::Serialize;
use std::path::PathBuf;

/// Add a compiled back end to a model
///
/// Finds the smallest that decides at least the asked share of texts as the exact circuit does. Half
/// of the texts are fitted, a quarter chooses; the share on the last quarter is reported and written
/// into the file. To hold on texts other than these, a tenth of the decisions that may differ are
/// expected to. The statevector stays in the file, so readers without the back end run that.
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
    /// Tensor train: how cores are stored
    #[arg(long, default_value = "auto")]
    pub cores: CoresArg,
    /// Tensor train: the circuit itself, to a millionth of its logits, in f32
    #[arg(long, conflicts_with_all = ["cores", "agreement"])]
    pub exact: bool,
    /// Labelled texts like those the model will see: .tsv, .csv, .jsonl or fastText's .txt; may be given again
    #[arg(long, required = true)]
    pub data: Vec<PathBuf>,
    #[command(flatten)]
    pub rows: OverDefaults<RowOptions>,
    /// The file to write
    #[arg(long, short)]
    pub out: PathBuf,
    /// Print as JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum BackEnd {
    /// The most telling monomials in the cosines and sines of the encoder angles: the smallest
    Polynomial,
    /// The circuit as a chain of small matrices: exact if need be
    TensorTrain,
    /// The circuit itself in 16-bit integers: nothing is added to the file but what was measured
    StatevectorI16,
}

/// How the entries of a tensor train's cores are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum CoresArg {
    /// Numbers of 32 bits, computed with as such
    F32,
    /// 16 bits, integers only
    I16,
    /// 8 bits, integers only
    I8,
    /// Integers, i8 where they do; f32 only where no integers agree well enough
    Auto,
}

#[derive(Serialize)]
struct Report {
    backend: &'static str,
    made_of: String,
    section_bytes: usize,
    file_bytes: usize,
    #[serde(flatten)]
    measured: Measured,
}

/// Runs the command; where nothing agrees well enough, nothing is written.
pub fn run(args: &CompileArgs) -> Result<()> {
    let bytes = load(&args.model)?;
    let (model, classes) = parse(&bytes, &args.model)?;
    ensure!(
        model.kinds().is_some(),
        "{}: takes vectors, not texts; only models of texts can be compiled",
        args.model.display()
    );
    let (texts, _) = read_labelled(&args.data, &*args.rows, &classes)?;
    let cores: &[&[Cores]] = match args.cores {
        CoresArg::F32 => &[&[Cores::F32]],
        CoresArg::I16 => &[&[Cores::I16]],
        CoresArg::I8 => &[&[Cores::I8]],
        CoresArg::Auto => &[&[Cores::I8, Cores::I16], &[Cores::F32]],
    };
    let asked = if args.exact { 1.0 } else { args.agreement };
    let task = || Task::new(&model, &texts, asked);
    let (kind, compiled) = match args.backend {
        BackEnd::StatevectorI16 => (Kind::StatevectorI16, statevector_i16(&model, &texts, asked)),
        BackEnd::Polynomial => (Kind::Polynomial, task().and_then(|t| polynomial::polynomial(&t))),
        BackEnd::TensorTrain => (
            Kind::TensorTrain,
            task().and_then(|task| match args.exact {
                true => tensor_train::exact(&task),
                false => tensor_train::truncated(&task, cores),
            }),
        ),
    };
    let compiled = compiled.of_file(&args.data[0])?;
    // The model's file with one section more, or in place of what it had of that kind.
    let section = |&k: &Kind| match k == kind {
        true => Some((k, compiled.section.clone())),
        false => Some((k, model.container().get(k)?.to_vec())),
    };
    let file = write(&Kind::ALL.iter().filter_map(section).collect::<Vec<_>>());
    Model::parse(&file).context("internal error: the compiled model would be refused")?;
    files::write(&args.out, &file)?;
    let (section_bytes, file_bytes) = (compiled.section.len() + ENTRY_BYTES, file.len());
    let Compiled { made_of, measured, .. } = compiled;
    let backend = kind.name();
    print(&Report { backend, made_of, section_bytes, file_bytes, measured }, args.json)
}

impl std::fmt::Display for Report {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let m = &self.measured;
        writeln!(f, "back end      {}: {}", self.backend, self.made_of)?;
        writeln!(
            f,
            "agreement     {:.4} of {} texts that did not choose it ({} asked)",
            m.agreement, m.texts, m.asked
        )?;
        writeln!(f, "logit error   {:.4} at most", m.largest_logit_error)?;
        writeln!(f, "size          {} bytes more, {} in all", self.section_bytes, self.file_bytes)?;
        writeln!(f, "RAM           {} bytes beside the stack", m.ram_bytes)?;
        writeln!(f, "arithmetic    {} multiply-adds", m.multiply_adds)
    }
}

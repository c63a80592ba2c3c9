//! `qdllm-hw simulate`: a data set rehearsed with shots and noise before any quota is spent.

use crate::circuit;
use crate::commands::{How, print, processor};
use crate::noise::{Figures, NoiseModel, assumed};
use crate::processor::Processor;
use crate::readout::LinearHead;
use crate::simulate::{Outputs, Quota, Rehearsal, Report, Run, Score};
use crate::texts;
use crate::transpile::source::{Source, inputs_of};
use anyhow::{Result, bail};
use clap::Args;
use qdllm_host::cli::OverDefaults;
use qdllm_host::errors::OfFile as _;
use qdllm_host::files;
use qdllm_host::rows::RowOptions;
use qdllm_host::terminal::Progress;
use qdllm_host::values::within;
use qdllm_runtime::Model;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// Rehearse a data set, or a circuit, with shots and noise
///
/// Every text is compiled for the target and its circuits are run by trajectories: depolarising after
/// each gate, amplitude and phase damping for as long as a qubit waits, read-out errors. Says what
/// accuracy to expect, and how often the decision is the statevector's, with 95% intervals (Wilson);
/// beside it the same with shots alone, and exactly. The same seed gives the same figures.
///
/// Of a bare circuit (--qasm) it says the expectation of each output, and shows the counts as a
/// histogram.
///
/// Figures come from the options below, else from the target's calibration, else typical ones are
/// assumed; the output lists what was assumed.
///
/// Examples:
///   qdllm-hw simulate --model model.qdm --data valid.tsv --target baihua --shots 1024
///   qdllm-hw simulate --model model.qdm --data valid.tsv --target chip.json --mitigate --json
///   qdllm-hw simulate --qasm circuit.qasm --target grid:3x4
#[derive(Args, Debug)]
#[command(verbatim_doc_comment)]
pub struct SimulateArgs {
    /// The model file (.qdm)
    #[arg(long, value_name = "FILE", required_unless_present = "qasm", requires = "data")]
    pub model: Option<PathBuf>,
    /// Texts, with labels or without: .tsv (label, tab, text), .csv with a header, .jsonl or .txt
    #[arg(long, value_name = "FILE", requires = "model")]
    pub data: Option<PathBuf>,
    #[command(flatten)]
    pub rows: OverDefaults<RowOptions>,
    /// An OpenQASM 2 file instead of a model and texts
    #[arg(long, value_name = "FILE", conflicts_with_all = ["model", "data", "limit"])]
    pub qasm: Option<PathBuf>,
    /// Shots of each circuit
    #[arg(long, default_value_t = 1024, value_parser = clap::value_parser!(u64).range(2..=1_000_000))]
    pub shots: u64,
    /// Only the first N texts
    #[arg(long, value_name = "N", value_parser = within(1_usize..))]
    pub limit: Option<usize>,
    /// Undo the read-out errors
    #[arg(long)]
    pub mitigate: bool,
    #[command(flatten)]
    pub how: How,
    #[command(flatten)]
    pub noise: Figures,
    /// Print as JSON, every text's decisions included
    #[arg(long)]
    pub json: bool,
}

pub fn run(args: &SimulateArgs) -> Result<()> {
    args.noise.check()?;
    let (path, data) = match (&args.qasm, &args.model, &args.data) {
        (Some(path), ..) => return bare(args, path),
        (_, Some(model), Some(data)) => (model, data),
        _ => bail!("give --model and --data, or --qasm FILE"),
    };
    let device = processor(&args.how.target)?;
    let bytes = files::read(path)?;
    let model = Model::parse(&bytes).of_file(path)?;
    let texts = texts::read(data, &args.rows, args.limit)?;
    let plan = args.how.search.plan(Source::from_model(&model), &device);
    let rehearsal = Rehearsal {
        head: LinearHead::of(&model).of_file(path)?,
        plan: plan.of_file(path)?,
        noise: NoiseModel::of(&device, &args.noise),
        model,
        shots: args.shots,
        seed: args.how.search.seed,
        mitigate: args.mitigate,
    };
    let start = Instant::now();
    let decisions = Progress::new(texts.len() < 10).during("rehearsing", texts.len(), |at| {
        let done = Mutex::new((0, at));
        rehearsal.run(&texts, || {
            let (count, at) = &mut *done.lock().unwrap_or_else(PoisonError::into_inner);
            *count += 1;
            at(*count);
        })
    });
    let decisions = decisions.of_file(data)?;
    let jobs: usize = decisions.iter().map(|d| d.cz.len()).sum();
    let empty = rehearsal.plan.compile(&inputs_of(&model, "")?)?;
    let used: Vec<u8> = empty.iter().flat_map(|c| c.circuit.used()).collect();
    let report = Report {
        run: about(args, &device, &used, jobs, start),
        texts: texts.len(),
        exact: Score::of(&decisions, |d| &d.exact),
        noiseless: Score::of(&decisions, |d| &d.shots),
        noisy: Score::of(&decisions, |d| &d.noisy),
        labels: rehearsal.head.labels,
        decisions,
    };
    print(args.json, &report, &report)
}

/// A circuit without a model.
fn bare(args: &SimulateArgs, path: &Path) -> Result<()> {
    let circuit = circuit::read(&files::read_text(path)?).of_file(path)?;
    let source = Source::from_circuit(&circuit).of_file(path)?;
    let device = processor(&args.how.target)?;
    let start = Instant::now();
    let plan = args.how.search.plan(source.clone(), &device).of_file(path)?;
    let circuits = plan.compile(&[]).of_file(path)?;
    let used: Vec<u8> = circuits.iter().flat_map(|c| c.circuit.used()).collect();
    let run = about(args, &device, &used, circuits.len(), start);
    let noise = NoiseModel::of(&device, &args.noise);
    let outputs =
        Outputs::of(run, &source, &circuits, &noise, args.how.search.seed).of_file(path)?;
    print(args.json, &outputs, &outputs)
}

fn about(args: &SimulateArgs, device: &Processor, used: &[u8], jobs: usize, start: Instant) -> Run {
    Run {
        target: device.name.clone(),
        calibrated: device.calibrated.clone(),
        assumed: assumed(device, used, &args.noise),
        shots: args.shots,
        mitigated: args.mitigate,
        quota: Quota::of(jobs, args.shots),
        seconds: start.elapsed().as_secs_f64(),
    }
}

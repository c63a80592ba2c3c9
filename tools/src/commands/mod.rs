//! One command a file; each has its arguments and a `run`. Here: what they share.

use crate::circuit;
use crate::processor::Processor;
use crate::quafu::http::Http;
use crate::quafu::jobs::run::{Refusal, Sender};
use crate::quafu::jobs::{Job, Work};
use crate::quafu::portal::Portal;
use crate::quafu::sqc::Sqc;
use crate::quafu::{Kind, Platform, credential};
use crate::transpile::native::Basis;
use crate::transpile::source::{Source, inputs_of};
use crate::transpile::{Options, Plan};
use anyhow::{Context, Result};
use clap::Args;
use qdllm_host::errors::{OfFile as _, wrong_use};
use qdllm_host::files::{read, read_text};
use qdllm_host::terminal::{Progress, note, say};
use qdllm_host::values::within;
use qdllm_runtime::Model;
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

pub use crate::quafu::http::Access;

pub mod backends;
pub mod board;
pub mod cancel;
pub mod draw;
pub mod fetch;
pub mod flash;
pub mod image;
pub mod serve;
pub mod sign;
pub mod simulate;
pub mod status;
pub mod submit;
pub mod token;
pub mod transpile;

/// Where the circuit comes from: `MODEL TEXT`, or `--qasm FILE`.
#[derive(Args, Debug, Clone)]
pub struct From {
    /// A model file (.qdm)
    #[arg(required_unless_present = "qasm", requires = "text")]
    pub model: Option<PathBuf>,
    /// The text whose features set the encoder's angles
    #[arg(requires = "model")]
    pub text: Option<String>,
    /// An OpenQASM 2 or 3 file instead of a model and a text
    #[arg(long, value_name = "FILE", conflicts_with_all = ["model", "text"])]
    pub qasm: Option<PathBuf>,
}

impl From {
    pub fn read(&self) -> Result<(Source, Vec<f64>)> {
        if let Some(path) = &self.qasm {
            let circuit = circuit::read(&read_text(path)?).of_file(path)?;
            return Ok((Source::from_circuit(&circuit).of_file(path)?, Vec::new()));
        }
        let (Some(path), Some(text)) = (&self.model, &self.text) else {
            anyhow::bail!("give a model and a text, or --qasm FILE");
        };
        let bytes = read(path)?;
        let model = Model::parse(&bytes).of_file(path)?;
        Ok((Source::from_model(&model), inputs_of(&model, text)?))
    }
}

const TARGET_HELP: &str = "Processor: baihua, line:N, ring:N, full:N, grid:RxC, or a JSON file\n\n\
    The file is a coupling map {\"name\", \"n_qubits\", \"coupling_map\": [[a, b], ...]}, or a chip's \
    own information with \"qubits_info\" and \"couplers_info\", whose fidelities then choose the qubits.";

/// How to compile.
#[derive(Args, Debug, Clone)]
pub struct How {
    /// Processor: baihua, line:N, ring:N, full:N, grid:RxC, or a JSON file
    #[arg(long, default_value = "baihua", long_help = TARGET_HELP)]
    pub target: String,
    #[command(flatten)]
    pub search: Search,
}

/// How to search a circuit for a processor.
#[derive(Args, Debug, Clone)]
pub struct Search {
    /// One-qubit gates to use beside cz
    #[arg(long, value_enum, default_value = "h-rz")]
    pub basis: Basis,
    /// Keep one circuit whose every qubit is read as in the source
    ///
    /// Without it, trailing gates become parities of the measured bits, and qubits that only control
    /// become the weights of several smaller circuits.
    #[arg(long)]
    pub no_rewrite: bool,
    /// Seed of the routing, and of shots where there are any; the same seed gives the same result
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Seconds after which the layout takes the best found so far, which then depends on the machine
    #[arg(long, value_name = "SECONDS", default_value_t = 120.0, value_parser = within(0.0..=1e9))]
    pub time_limit: f64,
}

/// How long a search goes on before its progress is shown.
const PATIENCE: Duration = Duration::from_secs(2);

impl Search {
    /// Lays a source out, and shows how far it is if that takes long.
    pub fn plan(&self, source: Source, processor: &Processor) -> Result<Plan> {
        let (start, mut progress) = (Instant::now(), None);
        let plan = Plan::watched(source, processor, self.options(), &mut |done, total| {
            if progress.is_none() && start.elapsed() > PATIENCE {
                progress.insert(Progress::new(false)).stage("layout", total as u64);
            }
            progress.iter_mut().for_each(|shown| shown.at(done as u64));
        })?;
        progress.iter().for_each(Progress::done);
        if plan.cut {
            let limit = self.time_limit;
            note(format_args!(
                "note: --time-limit {limit} ended the search; the best so far is taken"
            ));
        }
        Ok(plan)
    }

    pub fn options(&self) -> Options {
        Options {
            rewrite: !self.no_rewrite,
            basis: self.basis,
            seed: self.seed,
            time_limit: Some(Duration::from_secs_f64(self.time_limit)),
            ..Options::default()
        }
    }
}

/// A processor by name, or a file.
pub fn processor(target: &str) -> Result<Processor> {
    let path = Path::new(target);
    if path.is_file() {
        let found = Processor::from_json(&read_text(path)?).of_file(path)?;
        return Ok(noted(found, target));
    }
    Processor::named(target).map_err(wrong_use)
}

/// Says what was taken instead of figures that cannot be.
fn noted(processor: Processor, of: &str) -> Processor {
    processor.notes.iter().for_each(|why| note(format_args!("note: {of}: {why}")));
    processor
}

/// Prints a small result in one line: as JSON where that was asked for, else in words.
pub fn line(json: bool, value: &Value, words: impl Display) -> Result<()> {
    if json { say(value) } else { say(words) }
}

/// Prints a result: as JSON where that was asked for, else in words.
pub fn print(json: bool, value: &impl Serialize, words: impl Display) -> Result<()> {
    if json { say(serde_json::to_string_pretty(value)?) } else { say(words) }
}

/// Which platform.
#[derive(Args, Debug, Clone)]
pub struct Where {
    /// The platform
    #[arg(long, value_enum, default_value = "sqc")]
    pub platform: Kind,
    /// Its address, if not the public one; http only for this machine, as of `qdllm-hw serve`
    #[arg(long, value_name = "URL")]
    pub url: Option<String>,
}

impl Where {
    pub fn url(&self) -> &str {
        self.url.as_deref().unwrap_or(self.platform.url())
    }
}

impl Access {
    pub fn sender<'a>(&self, platform: &'a dyn Platform, settle_s: u64) -> Sender<'a> {
        Sender { platform, retry: self.retry(), settle: Duration::from_secs(settle_s) }
    }

    /// A client of a platform.
    pub fn connect(&self, platform: Kind, url: &str) -> Result<Box<dyn Platform>> {
        let token = credential::find(platform, self.token_file.as_deref())?;
        let http = |header, prefix| Http::new(self, url, token, header, prefix);
        Ok(match platform {
            Kind::Sqc => Box::new(Sqc(http("token", "")?)),
            Kind::Portal => Box::new(Portal(http("authorization", "Bearer ")?)),
        })
    }
}

/// A chip's couplings and calibration, live. A simulator without couplings couples all its qubits.
pub fn live_device(platform: &dyn Platform, chip: &str) -> Result<Processor> {
    device_of(&platform.chip(chip)?, chip)
}

/// The same from its published information.
pub fn device_of(info: &Value, chip: &str) -> Result<Processor> {
    let map = info.get("coupling_map").and_then(Value::as_array);
    if map.is_some_and(Vec::is_empty) {
        let qubits = info.get("n_qubits").and_then(Value::as_u64).unwrap_or(0);
        let device = Processor::named(&format!("full:{qubits}")).context(chip.to_string())?;
        return Ok(Processor { name: chip.into(), ..device });
    }
    let device = Processor::from_json(&info.to_string())
        .with_context(|| format!("{chip}: its published information cannot be used"))?;
    Ok(noted(device, chip))
}

/// How many jobs are in each state that there is.
pub fn states(jobs: &[Job]) -> BTreeMap<&'static str, usize> {
    let mut all = BTreeMap::new();
    jobs.iter().for_each(|job| *all.entry(job.state.name()).or_default() += 1);
    all
}

/// Jobs that failed each for itself.
pub fn refusals(all: &[Refusal]) -> Value {
    all.iter().map(|(number, why)| json!({"job": number, "why": why.to_string()})).collect()
}

/// The same in words: `3 finished, 2 submitted`.
pub fn states_text(jobs: &[Job]) -> String {
    let all = states(jobs);
    all.iter().map(|(name, n)| format!("{n} {name}")).collect::<Vec<_>>().join(", ")
}

pub fn work_text(work: &Work) -> String {
    match work {
        Work::Circuit { file } => file.display().to_string(),
        Work::Model { model, texts, .. } => {
            let s = if texts.len() == 1 { "" } else { "s" };
            format!("{}, {} text{s}", model.display(), texts.len())
        }
    }
}

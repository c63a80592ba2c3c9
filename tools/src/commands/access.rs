//! What the cloud commands share: where jobs are kept, how a platform is reached, progress.

use crate::cloud::retry::Retry;
use crate::cloud::wire::{Line, Wire};
use crate::cloud::{Kind, Platform, token};
use crate::jobs::job::{Job, Work};
use crate::jobs::store::Store;
use crate::processor::topology::Processor;
use anyhow::{Context, Result};
use clap::{ArgAction, Args};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::{Map, Value, json};
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Where jobs are kept.
#[derive(Args, Debug, Clone)]
pub struct StoreArgs {
    /// Folder of the job files
    #[arg(long, value_name = "FOLDER", env = "QDLLM_JOBS", default_value = "qdllm-jobs")]
    pub store: PathBuf,
}

impl StoreArgs {
    /// The store.
    pub fn open(&self) -> Store {
        Store::new(&self.store)
    }
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
    /// The address.
    pub fn url(&self) -> String {
        self.url.clone().unwrap_or_else(|| self.platform.url().into())
    }
}

/// How a platform is reached.
#[derive(Args, Debug, Clone)]
pub struct Access {
    /// File that holds the token and that only you can read
    ///
    /// Without it the token comes from `QPU_API_TOKEN` (platform sqc) or `QUAFU_API_KEY` (platform
    /// portal), or from the keyring (`qdllm-hw token`). There is no option for the token itself.
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    /// Milliseconds from one request to the next
    #[arg(long, value_name = "MS", default_value_t = 200)]
    pub pause: u64,
    /// Seconds to wait for an answer
    #[arg(long, value_name = "S", default_value_t = 60.0)]
    pub timeout: f64,
    /// Tries of a request on timeouts, lost connections, HTTP 429 and 5xx
    #[arg(long, value_name = "N", default_value_t = 6)]
    pub tries: u32,
    /// Milliseconds before the second try; doubled for each further one
    #[arg(long, value_name = "MS", default_value_t = 500)]
    pub backoff: u64,
    /// Say each request on standard error; twice: answers, too
    #[arg(short, long, action = ArgAction::Count)]
    pub verbose: u8,
}

impl Access {
    /// Waits and repetitions.
    pub fn retry(&self) -> Retry {
        let first = Duration::from_millis(self.backoff);
        Retry { tries: self.tries.max(1), first, ..Retry::default() }
    }

    /// A client of a platform.
    ///
    /// # Errors
    /// When the address is refused or there is no token.
    pub fn connect(&self, platform: Kind, url: &str) -> Result<Box<dyn Platform>> {
        let seconds = self.timeout.clamp(0.05, 3600.0);
        let line = Line {
            url: url.into(),
            retry: self.retry(),
            pause: Duration::from_millis(self.pause),
            timeout: Duration::from_secs_f64(seconds),
            verbose: self.verbose,
        };
        let token = token::find(platform, self.token_file.as_deref())?;
        Ok(platform.connect(Wire::new(line, Some(token))?))
    }
}

/// A chip's couplings and calibration, live. A simulator without couplings couples all its qubits.
///
/// # Errors
/// When the platform does not give them, or they are of no use.
pub fn live_device(platform: &dyn Platform, chip: &str) -> Result<Processor> {
    let info = platform.chip(chip)?;
    let map = info.get("coupling_map").and_then(Value::as_array);
    if map.is_some_and(Vec::is_empty) {
        let qubits = info.get("n_qubits").and_then(Value::as_u64).unwrap_or(0);
        let device = Processor::named(&format!("full:{qubits}")).context(chip.to_string())?;
        return Ok(Processor { name: chip.into(), ..device });
    }
    Processor::from_json(&info.to_string())
        .with_context(|| format!("{chip}: its published information cannot be used"))
}

/// A target by name, or a file.
///
/// # Errors
/// With the name.
pub fn device(target: &str) -> Result<Processor> {
    if Path::new(target).is_file() {
        let text =
            std::fs::read_to_string(target).with_context(|| format!("{target}: cannot be read"))?;
        return Processor::from_json(&text).with_context(|| target.to_string());
    }
    Ok(Processor::named(target)?)
}

/// Jobs by state.
pub fn states(jobs: &[Job]) -> Map<String, Value> {
    let mut all = Map::new();
    for name in ["ready", "sending", "submitted", "finished", "failed", "cancelled"] {
        let n = jobs.iter().filter(|j| j.state.name() == name).count();
        if n > 0 {
            all.insert(name.into(), json!(n));
        }
    }
    all
}

/// The same in words: `3 finished, 2 submitted`.
pub fn states_text(jobs: &[Job]) -> String {
    let all = states(jobs);
    all.iter().map(|(name, n)| format!("{n} {name}")).collect::<Vec<_>>().join(", ")
}

/// What a batch is for, in a few words.
pub fn work_text(work: &Work) -> String {
    match work {
        Work::Circuit { file } => file.display().to_string(),
        Work::Model { model, texts, .. } => {
            let s = if texts.len() == 1 { "" } else { "s" };
            format!("{}, {} text{s}", model.display(), texts.len())
        }
    }
}

/// A bar on a terminal, a line now and then elsewhere.
pub struct Progress {
    bar: Option<ProgressBar>,
    what: &'static str,
    total: usize,
    told: usize,
}

impl Progress {
    /// Progress over `total` things.
    pub fn new(what: &'static str, total: usize) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len} {eta}");
            let bar =
                ProgressBar::with_draw_target(Some(total as u64), ProgressDrawTarget::stderr())
                    .with_message(what);
            style.map_or_else(|_| bar.clone(), |s| bar.clone().with_style(s))
        });
        Self { bar, what, total, told: 0 }
    }

    /// So many are done.
    pub fn at(&mut self, done: usize) {
        if let Some(bar) = &self.bar {
            bar.set_position(done as u64);
            return;
        }
        // What is over before anybody reads it is not told.
        let step = self.total.div_ceil(10).max(10);
        let due = done >= self.told + step || (done == self.total && done > self.told);
        if self.total >= 10 && due {
            eprintln!("{}: {done} of {}", self.what, self.total);
            self.told = done;
        }
    }

    /// The end, whatever was done.
    pub fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

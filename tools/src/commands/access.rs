//! What the cloud commands share: where jobs are kept, how a platform is reached, progress.

use crate::processor::Processor;
use crate::quafu::http::Http;
use crate::quafu::jobs::run::Sender;
use crate::quafu::jobs::{Batch, Job, State, Work};
use crate::quafu::portal::Portal;
use crate::quafu::sqc::Sqc;
use crate::quafu::{Kind, Platform, credential};
use anyhow::{Context, Result};
use clap::Args;
use qdllm_host::terminal::Progress;
use serde_json::{Map, Value};
use std::time::Duration;

pub use crate::quafu::http::Access;

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

    /// The platform of a batch.
    pub fn connect_for(&self, batch: &Batch) -> Result<Box<dyn Platform>> {
        self.connect(batch.platform, &batch.url)
    }
}

/// A chip's couplings and calibration, live. A simulator without couplings couples all its qubits.
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

/// How many jobs are in each state that there is.
pub fn states(jobs: &[Job]) -> Map<String, Value> {
    let count = |name| jobs.iter().filter(|j| j.state.name() == name).count();
    let all = State::NAMES.iter().map(|name| (name.to_string(), count(*name).into()));
    all.filter(|(_, n)| *n != 0).collect()
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

/// [`Progress::during`] a stage of many steps; of few nothing is shown.
pub fn with_progress<T>(
    stage: &str,
    total: usize,
    work: impl FnOnce(&mut dyn FnMut(usize)) -> T,
) -> T {
    Progress::new(total < 10).during(stage, total, work)
}

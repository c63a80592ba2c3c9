//! Quantum clouds: one trait, the two platforms of Quafu behind it, jobs on them, and their stand-in.
//!
//! A submission whose answer is lost is the one thing that must not simply be tried again: it may have
//! been received. `Platform::submit` therefore tries once and says which of three things happened
//! ([`Delivery`]), and `Platform::recover` finds out about the third.

pub mod credential;
pub mod http;
pub mod jobs;
pub mod portal;
pub mod sqc;
pub mod stand_in;

use anyhow::{Result, bail, ensure};
use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::Duration;

/// Which platform.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Quafu-SQC, the platform of the `quarkstudio` client
    Sqc,
    /// The portal's task API, the platform of the `quafu-sdk` client
    Portal,
}

impl Kind {
    /// Its name, its address, and the environment variable that its token is in.
    const fn facts(self) -> [&'static str; 3] {
        match self {
            Self::Sqc => ["sqc", "https://quafu-sqc.baqis.ac.cn", "QPU_API_TOKEN"],
            Self::Portal => ["portal", "https://quafu.com.cn", "QUAFU_API_KEY"],
        }
    }

    pub const fn name(self) -> &'static str {
        self.facts()[0]
    }

    pub const fn url(self) -> &'static str {
        self.facts()[1]
    }

    pub const fn variable(self) -> &'static str {
        self.facts()[2]
    }
}

/// A quantum cloud. Calls that only read are repeated as [`qdllm_host::http::Retry`] says; `submit` is not.
pub trait Platform {
    /// Submits one circuit, once; the task's id. The error says whether the order may have been received.
    fn submit(&self, order: &Order<'_>) -> Result<String, SubmitError>;

    /// The task of an order sent at or after `since_s` (seconds since 1970), if it was received. After an
    /// error nothing is known, and the order must not be sent again.
    fn recover(&self, order: &Order<'_>, since_s: u64) -> Result<Option<String>, CloudError>;

    fn status(&self, task: &str) -> Result<Progress, CloudError>;

    fn result(&self, task: &str) -> Result<Fetched, CloudError>;

    fn cancel(&self, task: &str) -> Result<(), CloudError>;

    fn backends(&self) -> Result<Vec<Backend>, CloudError>;

    /// A chip's couplings and calibration, in a form that [`crate::processor::Processor::from_json`] reads.
    fn chip(&self, name: &str) -> Result<Value, CloudError>;

    fn limits(&self, chip: &str) -> Result<Limits, CloudError>;

    /// Tasks that a user may have in a day, where that is known.
    fn daily_tasks(&self) -> Option<u32> {
        None
    }

    /// An error when a chip takes no tasks now.
    fn ready(&self, chip: &str) -> Result<()> {
        let all = self.backends()?;
        let Some(found) = all.iter().find(|b| b.name == chip) else {
            let known = all.into_iter().map(|b| b.name).collect::<Vec<_>>().join(", ");
            bail!("`{chip}` is no chip of the platform; it has {known}");
        };
        ensure!(
            found.online,
            "{chip} takes no tasks now: {}; nothing was submitted (see `qdllm-hw backends`)",
            found.status
        );
        Ok(())
    }
}

#[derive(Clone, Copy, Debug)]
pub struct Order<'a> {
    /// A name that no other task of the account has.
    pub name: &'a str,
    /// A UUID that no other order has; the portal knows an order by it.
    pub client_ref: &'a str,
    pub chip: &'a str,
    pub shots: u32,
    pub qasm: &'a str,
    /// The qubits are the chip's own and nothing is to be compiled.
    pub physical: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Not done yet; the platform's own word.
    Waiting(String),
    Finished,
    Failed,
    Cancelled,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Fetched {
    Waiting,
    Done(Outcome),
    Failed(String),
    Cancelled,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    pub task: Option<String>,
    pub chip: Option<String>,
    pub circuit: Option<String>,
    /// How often each bit string was seen; its rightmost character is `c[0]`.
    pub counts: BTreeMap<String, u64>,
    pub shots: Option<u64>,
    pub details: Value,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Backend {
    pub name: String,
    pub online: bool,
    pub status: String,
    pub queue: Option<u64>,
    pub qubits: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    pub min_shots: u32,
    pub max_shots: u32,
    pub step: u32,
}

impl Limits {
    pub fn check(&self, chip: &str, shots: u32) -> Result<()> {
        let Self { min_shots, max_shots, step, .. } = *self;
        ensure!(
            (min_shots..=max_shots).contains(&shots) && shots.is_multiple_of(step.max(1)),
            "{shots} shots; {chip} takes {min_shots} to {max_shots} in steps of {step}"
        );
        Ok(())
    }
}

/// Why a call failed. Texts from the platform are shortened, and the token is blotted out of them.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CloudError {
    #[error("{what}: no answer after {tries} tries: {why}")]
    NoAnswer { what: String, tries: u32, why: String },
    #[error("{what}: refused with HTTP {status}: {text}{}", remedy(*.status))]
    Refused { what: String, status: u16, text: String },
    #[error("{what}: the platform asks to come back in {} s; run the same command again then", .after.as_secs())]
    Later { what: String, after: Duration },
    #[error("the answer is not understood: {0}")]
    Protocol(String),
    /// Nobody knows what became of a job, and it must not be sent again by itself.
    #[error("{0}")]
    Doubt(String),
}

/// What a status means that says little by itself.
fn remedy(status: u16) -> &'static str {
    match status {
        401 | 403 => "; is the token right, and not expired?",
        422 => "; a missing or malformed token is answered so, too",
        300..=399 => "; redirections are not followed, so that no token goes elsewhere",
        _ => "",
    }
}

/// What became of an order that brought no task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// It never left, or was turned away for now: it may be sent again.
    NotReceived,
    Refused,
    Unknown,
    /// Answered with a success that is neither a task nor a known refusal: somebody may have received it.
    Answered,
}

#[derive(Debug)]
pub struct SubmitError {
    pub delivery: Delivery,
    pub why: CloudError,
    /// The wait that the platform asks for.
    pub wait: Option<Duration>,
}

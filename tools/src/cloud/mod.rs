//! Quantum clouds: one trait, and the two platforms of Quafu behind it.
//!
//! A submission whose answer is lost is the one thing that must not simply be tried again: it may have
//! been received. [`Platform::submit`] therefore tries once and says which of three things happened
//! ([`SubmitError`]), and [`Platform::recover`] finds out about the third.

pub mod clock;
pub mod error;
pub mod portal;
pub mod retry;
pub mod secret;
pub mod sqc;
pub mod token;
pub mod wire;

use clap::ValueEnum;
use error::{CloudError, SubmitError};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// Which platform.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Quafu-SQC, the platform of the `quarkstudio` client
    Sqc,
    /// The portal's task API, the platform of the `quafu-sdk` client
    Portal,
}

impl Kind {
    /// All platforms.
    pub const ALL: [Self; 2] = [Self::Sqc, Self::Portal];

    /// Its name on the command line and in job files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sqc => "sqc",
            Self::Portal => "portal",
        }
    }

    /// Its public address.
    pub const fn url(self) -> &'static str {
        match self {
            Self::Sqc => "https://quafu-sqc.baqis.ac.cn",
            Self::Portal => "https://quafu.com.cn",
        }
    }

    /// The environment variable that holds its token.
    pub const fn variable(self) -> &'static str {
        match self {
            Self::Sqc => "QPU_API_TOKEN",
            Self::Portal => "QUAFU_API_KEY",
        }
    }

    /// The client for the platform at `wire`'s address.
    pub fn connect(self, wire: wire::Wire) -> Box<dyn Platform> {
        match self {
            Self::Sqc => Box::new(sqc::Sqc::new(wire)),
            Self::Portal => Box::new(portal::Portal::new(wire)),
        }
    }
}

/// What is to be run.
#[derive(Clone, Copy, Debug)]
pub struct Order<'a> {
    /// A name that no other task of the account has.
    pub name: &'a str,
    /// A UUID that no other order has; the portal knows an order by it.
    pub client_ref: &'a str,
    /// The chip, or the portal's target.
    pub chip: &'a str,
    /// Repetitions.
    pub shots: u32,
    /// OpenQASM 2.
    pub qasm: &'a str,
    /// The qubits are the chip's own and nothing is to be compiled.
    pub physical: bool,
}

/// What [`Platform::recover`] found out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Recovery {
    /// The order was received, under this id.
    Found(String),
    /// The platform does not list it.
    Absent,
}

/// How far a task is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Not done yet; the platform's own word.
    Waiting(String),
    /// There is a result.
    Finished,
    /// It ended without one.
    Failed,
    /// Somebody cancelled it.
    Cancelled,
}

/// The answer to a request for a result.
#[derive(Clone, Debug, PartialEq)]
pub enum Fetched {
    /// Not done yet; the platform's own word.
    Waiting(String),
    /// A result.
    Done(Outcome),
    /// The task failed; the platform's text.
    Failed(String),
    /// The task was cancelled.
    Cancelled,
}

/// A result as the platform gave it.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// The task's id, where the result states it.
    pub task: Option<String>,
    /// The chip, where the result states it.
    pub chip: Option<String>,
    /// The circuit as it was sent, where the result states it.
    pub circuit: Option<String>,
    /// How often each bit string was seen; its rightmost character is `c[0]`.
    pub counts: BTreeMap<String, u64>,
    /// Shots, where the result states them.
    pub shots: Option<u64>,
    /// The rest of the result that is worth keeping.
    pub details: Value,
}

/// A chip or simulator to submit to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Backend {
    /// Its name.
    pub name: String,
    /// Whether it takes tasks.
    pub online: bool,
    /// The platform's word for its state.
    pub status: String,
    /// Tasks before a new one, where known.
    pub queue: Option<u64>,
    /// Its qubits, where known.
    pub qubits: Option<u64>,
}

/// Shots that a chip takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Limits {
    /// Fewest.
    pub min_shots: u32,
    /// Most.
    pub max_shots: u32,
    /// What they must be a multiple of.
    pub step: u32,
    /// Tasks a day, where known.
    pub daily_tasks: Option<u32>,
}

impl Limits {
    /// Refuses shots that the chip does not take.
    ///
    /// # Errors
    /// [`CloudError::Shots`].
    pub fn check(&self, chip: &str, shots: u32) -> Result<(), CloudError> {
        let step = self.step.max(1);
        if shots < self.min_shots || shots > self.max_shots || !shots.is_multiple_of(step) {
            return Err(CloudError::Shots { chip: chip.into(), shots, limits: *self });
        }
        Ok(())
    }
}

/// A quantum cloud. Calls that only read are repeated as [`retry::Retry`] says; `submit` is not.
pub trait Platform {
    /// Which platform it is.
    fn kind(&self) -> Kind;

    /// Submits one circuit, once; the task's id.
    ///
    /// # Errors
    /// [`SubmitError`], which says whether the order may have been received.
    fn submit(&self, order: &Order<'_>) -> Result<String, SubmitError>;

    /// Finds out whether an order sent at or after `since_s` (seconds since 1970) was received.
    ///
    /// # Errors
    /// [`CloudError`]; then nothing is known, and the order must not be sent again.
    fn recover(&self, order: &Order<'_>, since_s: u64) -> Result<Recovery, CloudError>;

    /// How far a task is.
    ///
    /// # Errors
    /// [`CloudError`].
    fn status(&self, task: &str) -> Result<Progress, CloudError>;

    /// A task's result.
    ///
    /// # Errors
    /// [`CloudError`].
    fn result(&self, task: &str) -> Result<Fetched, CloudError>;

    /// Cancels a task.
    ///
    /// # Errors
    /// [`CloudError`].
    fn cancel(&self, task: &str) -> Result<(), CloudError>;

    /// What can be submitted to.
    ///
    /// # Errors
    /// [`CloudError`].
    fn backends(&self) -> Result<Vec<Backend>, CloudError>;

    /// A chip's couplings and calibration, in a form that [`crate::processor::topology::Processor::from_json`] reads.
    ///
    /// # Errors
    /// [`CloudError`].
    fn chip(&self, name: &str) -> Result<Value, CloudError>;

    /// The shots that a chip takes.
    ///
    /// # Errors
    /// [`CloudError`].
    fn limits(&self, chip: &str) -> Result<Limits, CloudError>;

    /// The chip among [`Platform::backends`].
    ///
    /// # Errors
    /// [`CloudError::UnknownChip`] and [`CloudError::Offline`] besides what `backends` gives.
    fn ready(&self, chip: &str) -> Result<Backend, CloudError> {
        let all = self.backends()?;
        let Some(found) = all.iter().find(|b| b.name == chip) else {
            let known = all.into_iter().map(|b| b.name).collect::<Vec<_>>().join(", ");
            return Err(CloudError::UnknownChip { chip: chip.into(), known });
        };
        if found.online {
            return Ok(found.clone());
        }
        Err(CloudError::Offline { chip: chip.into(), status: found.status.clone() })
    }
}

/// A text in a URL: everything but letters, digits and `-_.~` as `%XX`.
pub(crate) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// Counts from a JSON object of bit strings.
pub(crate) fn counts_of(value: &Value) -> Result<BTreeMap<String, u64>, CloudError> {
    let object =
        value.as_object().ok_or_else(|| CloudError::Protocol("counts are no object".into()))?;
    let mut counts = BTreeMap::new();
    for (bits, n) in object {
        let n = n.as_u64().ok_or_else(|| {
            CloudError::Protocol(format!("the count of `{bits}` is no whole number"))
        })?;
        counts.insert(bits.clone(), n);
    }
    Ok(counts)
}

//! Jobs on a quantum cloud, kept on disk so that any step can be repeated after any end of the program.
//!
//! A batch is a folder: `batch.json`, written once, and one file a job. A job goes
//! `ready -> sending -> submitted -> finished | failed | cancelled`. `sending` is on disk before the
//! request leaves; a program that finds it there asks the platform what became of it.

pub mod results;
pub mod run;
pub mod store;

use super::{Kind, Order};
use crate::readout::{BitError, Readout};
use crate::texts::Text;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::PathBuf;

pub const VERSION: u32 = 1;

/// What all jobs of a batch share. Written once.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Batch {
    pub version: u32,
    /// Its name, and its folder's: made from what was asked for, so that asking again finds it.
    pub id: String,
    /// When it was made, milliseconds since 1970.
    pub created_ms: u64,
    pub platform: Kind,
    pub url: String,
    pub chip: String,
    pub shots: u32,
    /// Circuits are on the chip's own qubits and are not compiled there.
    pub physical: bool,
    pub jobs: usize,
    pub work: Work,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Work {
    Circuit {
        file: PathBuf,
    },
    Model {
        model: PathBuf,
        sha256: String,
        /// The texts, in order; a job's `item` counts them. Line 0: from the command line.
        texts: Vec<Text>,
    },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Job {
    pub version: u32,
    /// Its place in the batch, from 1, and its file's name.
    pub number: usize,
    pub name: String,
    /// The task's UUID, by which the portal recognises a repeated submission.
    pub client_ref: String,
    /// Which text or circuit it belongs to, from 0.
    pub item: usize,
    pub weight: f64,
    /// The source's outputs from the measured bits.
    pub readouts: Vec<Readout>,
    pub bits: usize,
    /// How each classical bit is misread, as the chip's calibration said when the batch was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bit_errors: Option<Vec<BitError>>,
    pub qasm: String,
    #[serde(flatten)]
    pub state: State,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub earlier: Vec<Attempt>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum State {
    Ready,
    /// Being sent, or was when the program ended.
    Sending {
        since_s: u64,
    },
    Submitted {
        task: String,
        at_s: u64,
    },
    Finished {
        task: String,
        at_s: u64,
        /// How often each bit string was seen, as the platform gave it; rightmost character `c[0]`.
        counts: BTreeMap<String, u64>,
        details: Value,
    },
    Failed {
        task: String,
        at_s: u64,
        error: String,
    },
    Cancelled {
        task: Option<String>,
    },
}

impl State {
    pub const NAMES: [&str; 6] =
        ["ready", "sending", "submitted", "finished", "failed", "cancelled"];

    pub const fn name(&self) -> &'static str {
        Self::NAMES[match self {
            Self::Ready => 0,
            Self::Sending { .. } => 1,
            Self::Submitted { .. } => 2,
            Self::Finished { .. } => 3,
            Self::Failed { .. } => 4,
            Self::Cancelled { .. } => 5,
        }]
    }

    pub const fn unsent(&self) -> bool {
        matches!(self, Self::Ready | Self::Sending { .. })
    }

    pub const fn submitted(&self) -> bool {
        matches!(self, Self::Submitted { .. })
    }

    pub fn task(&self) -> Option<&str> {
        match self {
            Self::Ready | Self::Sending { .. } => None,
            Self::Submitted { task, .. }
            | Self::Finished { task, .. }
            | Self::Failed { task, .. } => Some(task),
            Self::Cancelled { task } => task.as_deref(),
        }
    }

    pub const fn at_s(&self) -> Option<u64> {
        match self {
            Self::Submitted { at_s, .. }
            | Self::Finished { at_s, .. }
            | Self::Failed { at_s, .. } => Some(*at_s),
            _ => None,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    pub name: String,
    pub task: String,
    pub at_s: u64,
    pub error: String,
}

impl Job {
    pub fn order<'a>(&'a self, batch: &'a Batch) -> Order<'a> {
        Order {
            name: &self.name,
            client_ref: &self.client_ref,
            chip: &batch.chip,
            shots: batch.shots,
            qasm: &self.qasm,
            physical: batch.physical,
        }
    }

    /// Makes a failed job ready again, under a new name; whether it had failed.
    pub fn again(&mut self) -> bool {
        let State::Failed { task, at_s, error } = self.state.clone() else { return false };
        let first = self.earlier.first().map_or(&self.name, |a| &a.name);
        let name = format!("{first}-r{}", self.earlier.len() + 2);
        let name = std::mem::replace(&mut self.name, name);
        self.earlier.push(Attempt { name, task, at_s, error });
        (self.client_ref, self.state) = (uuid(), State::Ready);
        true
    }
}

pub fn uuid() -> String {
    uuid::Uuid::new_v4().to_string()
}

/// At most 32 random digits.
pub fn random_hex(digits: usize) -> String {
    let mut text = uuid::Uuid::new_v4().simple().to_string();
    text.truncate(digits);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_job_gets_a_new_name_each_time() {
        let mut job = Job {
            version: VERSION,
            number: 1,
            name: "qd-1".into(),
            client_ref: uuid(),
            item: 0,
            weight: 1.0,
            readouts: Vec::new(),
            bits: 1,
            bit_errors: None,
            qasm: String::new(),
            state: State::Failed { task: "7".into(), at_s: 1, error: "too hot".into() },
            earlier: Vec::new(),
        };
        let old = job.client_ref.clone();
        assert!(job.again() && !job.again());
        assert_eq!((job.name.as_str(), &job.state), ("qd-1-r2", &State::Ready));
        assert_ne!(job.client_ref, old);
        job.state = State::Failed { task: "8".into(), at_s: 2, error: "too cold".into() };
        job.again();
        assert_eq!(job.name, "qd-1-r3");
        let text = serde_json::to_string(&job).unwrap();
        assert!(text.contains(r#""state":"ready""#), "{text}");
        assert_eq!(serde_json::from_str::<Job>(&text).unwrap(), job);
    }

    #[test]
    fn uuids_have_the_form() {
        let id = uuid();
        assert_eq!(id.len(), 36);
        assert_eq!(&id[14..15], "4");
        assert!("89ab".contains(&id[19..20]));
        assert_ne!(id, uuid());
    }
}

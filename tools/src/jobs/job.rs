//! A job and its batch, as their files hold them.

use crate::cloud::{Kind, Order};
use crate::readout::BitError;
use crate::texts;
use crate::transpile::check::Readout;
use rand::{RngCore as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Version of both files.
pub const VERSION: u32 = 1;

/// What all jobs of a batch share. Written once.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Batch {
    /// [`VERSION`].
    pub version: u32,
    /// Its name, and its folder's: made from what was asked for, so that asking again finds it.
    pub id: String,
    /// When it was made, milliseconds since 1970.
    pub created_ms: u64,
    /// The platform.
    pub platform: Kind,
    /// The platform's address.
    pub url: String,
    /// The chip or target.
    pub chip: String,
    /// Repetitions of each circuit.
    pub shots: u32,
    /// Circuits are on the chip's own qubits and are not compiled there.
    pub physical: bool,
    /// Number of job files.
    pub jobs: usize,
    /// What the jobs are for.
    pub work: Work,
}

/// What a batch is for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Work {
    /// One circuit from a file.
    Circuit {
        /// The file.
        file: PathBuf,
    },
    /// Texts that a model classifies.
    Model {
        /// The model file.
        model: PathBuf,
        /// Its SHA-256, in hexadecimal.
        sha256: String,
        /// The texts, in order; a job's `item` counts them.
        texts: Vec<Text>,
    },
}

/// A text to classify.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Text {
    /// Line of the data file, from 1; 0: from the command line.
    pub line: usize,
    /// What it should be classified as, where known.
    pub label: Option<String>,
    /// The text.
    pub text: String,
}

impl From<texts::Text> for Text {
    fn from(text: texts::Text) -> Self {
        let texts::Text { line, label, text } = text;
        Self { line, label, text }
    }
}

/// One circuit to run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Job {
    /// [`VERSION`].
    pub version: u32,
    /// Its place in the batch, from 1, and its file's name.
    pub number: usize,
    /// The task's name on the platform, which no other task has.
    pub name: String,
    /// The task's UUID, by which the portal recognises a repeated submission.
    pub client_ref: String,
    /// Which text or circuit it belongs to, from 0.
    pub item: usize,
    /// How much its outputs count.
    pub weight: f64,
    /// The source's outputs from the measured bits.
    pub readouts: Vec<Readout>,
    /// Length of the result's bit strings.
    pub bits: usize,
    /// How each classical bit is misread, as the chip's calibration said when the batch was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bit_errors: Option<Vec<BitError>>,
    /// OpenQASM 2, as it is sent.
    pub qasm: String,
    /// How far it is.
    #[serde(flatten)]
    pub state: State,
    /// Tasks of this job that failed before.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub earlier: Vec<Attempt>,
}

/// How far a job is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum State {
    /// Not sent.
    Ready,
    /// Being sent, or was when the program ended.
    Sending {
        /// Since when, seconds since 1970.
        since_s: u64,
    },
    /// The platform has it.
    Submitted {
        /// The platform's id.
        task: String,
        /// Since when, seconds since 1970.
        at_s: u64,
    },
    /// There is a result.
    Finished {
        /// The platform's id.
        task: String,
        /// When it was submitted, seconds since 1970.
        at_s: u64,
        /// How often each bit string was seen, as the platform gave it; rightmost character `c[0]`.
        counts: BTreeMap<String, u64>,
        /// The rest of the result.
        details: Value,
    },
    /// The platform gave it up.
    Failed {
        /// The platform's id.
        task: String,
        /// When it was submitted, seconds since 1970.
        at_s: u64,
        /// The platform's text.
        error: String,
    },
    /// Cancelled.
    Cancelled {
        /// The platform's id, if it was submitted.
        task: Option<String>,
    },
}

impl State {
    /// Its name.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Sending { .. } => "sending",
            Self::Submitted { .. } => "submitted",
            Self::Finished { .. } => "finished",
            Self::Failed { .. } => "failed",
            Self::Cancelled { .. } => "cancelled",
        }
    }

    /// The platform's id.
    pub fn task(&self) -> Option<&str> {
        match self {
            Self::Ready | Self::Sending { .. } => None,
            Self::Submitted { task, .. }
            | Self::Finished { task, .. }
            | Self::Failed { task, .. } => Some(task),
            Self::Cancelled { task } => task.as_deref(),
        }
    }

    /// When it was submitted, seconds since 1970.
    pub const fn at_s(&self) -> Option<u64> {
        match self {
            Self::Submitted { at_s, .. }
            | Self::Finished { at_s, .. }
            | Self::Failed { at_s, .. } => Some(*at_s),
            _ => None,
        }
    }
}

/// A task that failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// The task's name.
    pub name: String,
    /// The platform's id.
    pub task: String,
    /// When it was submitted, seconds since 1970.
    pub at_s: u64,
    /// The platform's text.
    pub error: String,
}

impl Job {
    /// What is sent to the platform.
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

    /// Makes a failed job ready again, under a new name.
    pub fn again(&mut self) {
        if let State::Failed { task, at_s, error } = &self.state {
            let first = self.earlier.first().map_or(&self.name, |a| &a.name).clone();
            self.earlier.push(Attempt {
                name: self.name.clone(),
                task: task.clone(),
                at_s: *at_s,
                error: error.clone(),
            });
            self.name = format!("{first}-r{}", self.earlier.len() + 1);
            self.client_ref = uuid();
            self.state = State::Ready;
        }
    }
}

/// Random hexadecimal digits, from the system's source.
pub fn random_hex(digits: usize) -> String {
    let mut rng = ChaCha8Rng::from_os_rng();
    (0..digits).map(|_| char::from_digit(rng.next_u32() % 16, 16).unwrap_or('0')).collect()
}

/// A random UUID (version 4).
pub fn uuid() -> String {
    let mut hex = random_hex(32);
    hex.replace_range(12..13, "4");
    let variant = match &hex[16..17] {
        "0" | "4" | "8" | "c" => "8",
        "1" | "5" | "9" | "d" => "9",
        "2" | "6" | "a" | "e" => "a",
        _ => "b",
    };
    hex.replace_range(16..17, variant);
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
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
        job.again();
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

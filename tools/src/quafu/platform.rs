//! What a quantum cloud is asked for and answers.

use super::error::{CloudError, SubmitError};
use super::kind::Limits;
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;

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
pub enum Recovery {
    Found(String),
    Absent,
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
    /// Not done yet; the platform's own word.
    Waiting(String),
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

impl Limits {
    pub fn check(&self, chip: &str, shots: u32) -> Result<(), CloudError> {
        let step = self.step.max(1);
        if shots < self.min_shots || shots > self.max_shots || !shots.is_multiple_of(step) {
            return Err(CloudError::Shots { chip: chip.into(), shots, limits: *self });
        }
        Ok(())
    }
}

/// A quantum cloud. Calls that only read are repeated as [`qdllm_host::http::Retry`] says; `submit` is not.
pub trait Platform {
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

    fn status(&self, task: &str) -> Result<Progress, CloudError>;

    fn result(&self, task: &str) -> Result<Fetched, CloudError>;

    fn cancel(&self, task: &str) -> Result<(), CloudError>;

    fn backends(&self) -> Result<Vec<Backend>, CloudError>;

    /// A chip's couplings and calibration, in a form that [`crate::processor::topology::Processor::from_json`] reads.
    fn chip(&self, name: &str) -> Result<Value, CloudError>;

    fn limits(&self, chip: &str) -> Result<Limits, CloudError>;

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

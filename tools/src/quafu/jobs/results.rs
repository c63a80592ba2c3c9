//! From the counts of a batch to decisions, or to expectations for a circuit without a model.

use super::JobError;
use super::job::{Batch, Job, State, Text, Work};
use crate::readout::{
    Answer, AnswerError, Counts, CountsError, Estimate, LinearHead, Part, answer, expectations,
};
use crate::simulate::Share;
use qdllm_host::hex;
use qdllm_runtime::{Model, Scratch};
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use std::path::Path;

#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ResultsError {
    #[error(transparent)]
    Model(#[from] JobError),
    #[error("the model: {0}")]
    Parse(#[from] qdllm_runtime::Error),
    #[error("job {number}: {source}")]
    Counts { number: usize, source: CountsError },
    #[error("{0}")]
    Answer(#[from] AnswerError),
    #[error("the chip published no read-out errors when this batch was made; leave out --mitigate")]
    NoReadoutErrors,
}

#[derive(Clone, Debug, Serialize)]
pub struct Decision {
    #[serde(flatten)]
    pub text: Text,
    pub answer: Option<Answer>,
    pub exact: String,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answers {
    Decisions(Vec<Decision>),
    Outputs(Option<Estimate>),
}

/// The answers that a batch's counts give so far; with `mitigate`, read-out errors are undone.
pub fn answers(batch: &Batch, jobs: &[Job], mitigate: bool) -> Result<Answers, ResultsError> {
    let (path, sha256, texts) = match &batch.work {
        Work::Circuit { .. } => {
            let outputs = jobs.first().map_or(0, |j| j.readouts.len());
            let estimate = item(jobs, 0, mitigate, |parts| expectations(parts, outputs))?;
            return Ok(Answers::Outputs(estimate));
        }
        Work::Model { model, sha256, texts } => (model, sha256, texts),
    };
    let bytes = unchanged(path, sha256)?;
    let model = Model::parse(&bytes)?;
    let head = LinearHead::of(&model)?;
    let mut scratch = Scratch::new();
    let mut decisions = Vec::new();
    for (i, text) in texts.iter().enumerate() {
        let exact = model.classify(&text.text, &mut scratch)?;
        decisions.push(Decision {
            text: text.clone(),
            answer: item(jobs, i, mitigate, |parts| answer(&head, parts))?,
            exact: model.label(exact.class()).to_string(),
        });
    }
    Ok(Answers::Decisions(decisions))
}

#[derive(Serialize)]
pub struct Summary {
    pub texts: usize,
    pub decided: usize,
    /// Decisions that are the label; absent if no text has one.
    pub accuracy: Option<Share>,
    /// Decisions that are those of exact simulation.
    pub agreement: Share,
    /// Decisions that differ from exact simulation although their margin is over three of its standard
    /// errors: not explained by the scatter of the shots.
    pub clear_disagreements: usize,
}

impl Summary {
    pub fn of(all: &[Decision]) -> Self {
        let decided = || all.iter().filter_map(|d| Some((d, d.answer.as_ref()?)));
        let hits: Vec<bool> =
            decided().filter_map(|(d, a)| Some(*d.text.label.as_ref()? == a.label)).collect();
        let far = |a: &Answer| a.margin > 3.0 * a.margin_error;
        Self {
            texts: all.len(),
            decided: decided().count(),
            accuracy: (!hits.is_empty()).then(|| Share::of(hits.into_iter())),
            agreement: Share::of(decided().map(|(d, a)| d.exact == a.label)),
            clear_disagreements: decided().filter(|(d, a)| d.exact != a.label && far(a)).count(),
        }
    }
}

/// What `of` makes of the counts of item `wanted`, if they are all there.
fn item<T>(
    jobs: &[Job],
    wanted: usize,
    mitigate: bool,
    of: impl Fn(&[Part<'_>]) -> Result<T, AnswerError>,
) -> Result<Option<T>, ResultsError> {
    let mut counts = Vec::new();
    for job in jobs.iter().filter(|j| j.item == wanted) {
        let State::Finished { counts: strings, .. } = &job.state else { return Ok(None) };
        let read = Counts::from_strings(strings, job.bits)
            .map_err(|source| ResultsError::Counts { number: job.number, source })?;
        counts.push((job, read));
    }
    let mut parts = Vec::new();
    for (job, counts) in &counts {
        let errors = job.bit_errors.as_deref().filter(|_| mitigate);
        if mitigate && errors.is_none() {
            return Err(ResultsError::NoReadoutErrors);
        }
        parts.push(Part { weight: job.weight, readouts: &job.readouts, counts, errors });
    }
    Ok(Some(of(&parts)?))
}

/// The model file, if it is the one that the circuits were made of.
fn unchanged(path: &Path, sha256: &str) -> Result<Vec<u8>, JobError> {
    let bytes =
        std::fs::read(path).map_err(|source| JobError::File { path: path.into(), source })?;
    let now = hex::encode(Sha256::digest(&bytes));
    if now == sha256 {
        return Ok(bytes);
    }
    let what =
        "is another file than when the batch was made; put the old one back to read the counts";
    Err(JobError::Content { path: path.into(), what: what.into() })
}

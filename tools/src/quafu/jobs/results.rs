//! From the counts of a batch to decisions, or to expectations for a circuit without a model.

use super::{Batch, Job, State, Work};
use crate::readout::{Answer, Counts, Estimate, LinearHead, Part, answer, expectations};
use crate::simulate::Share;
use crate::texts::Text;
use anyhow::{Context as _, Result, ensure};
use qdllm_host::errors::OfFile as _;
use qdllm_host::hex;
use qdllm_runtime::{Model, Scratch};
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use std::fmt;
use std::path::Path;

#[derive(Clone, Debug, Serialize)]
pub struct Decision {
    #[serde(flatten)]
    pub text: Text,
    /// N-grams of the text that the model knows.
    pub found: u32,
    pub answer: Option<Answer>,
    pub exact: String,
}

#[derive(Clone, Debug)]
pub enum Answers {
    Decisions(Vec<Decision>),
    Outputs(Option<Estimate>),
}

/// The answers that a batch's counts give so far; with `mitigate`, read-out errors are undone.
pub fn answers(batch: &Batch, jobs: &[Job], mitigate: bool) -> Result<Answers> {
    let Work::Model { model: path, sha256, texts } = &batch.work else {
        let outputs = jobs.first().map_or(0, |j| j.readouts.len());
        let estimate = item(jobs, 0, mitigate, |parts| expectations(parts, outputs))?;
        return Ok(Answers::Outputs(estimate));
    };
    let bytes = unchanged(path, sha256)?;
    let model = Model::parse(&bytes).context("the model")?;
    let head = LinearHead::of(&model).context("the model")?;
    let mut scratch = Scratch::new();
    let mut decisions = Vec::new();
    for (i, text) in texts.iter().enumerate() {
        let exact = model.classify(&text.text, &mut scratch).context("the model")?;
        let mut answer = item(jobs, i, mitigate, |parts| answer(&head, parts))?;
        if exact.found() == 0 {
            // The circuit ran on nothing that the model knows.
            answer.iter_mut().for_each(|answer| answer.rejected = true);
        }
        let (text, found) = (text.clone(), exact.found());
        let exact = model.label(exact.class()).to_string();
        decisions.push(Decision { text, found, answer, exact });
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

impl fmt::Display for Answers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Outputs(None) => writeln!(f, "no counts yet"),
            Self::Outputs(Some(outputs)) => {
                outputs.values.iter().zip(&outputs.errors).enumerate().try_for_each(
                    |(k, (value, error))| writeln!(f, "output {k}: {value:+.4} +- {error:.4}"),
                )
            }
            Self::Decisions(all) => {
                all.iter().try_for_each(|decision| writeln!(f, "{decision}"))?;
                if all.len() == 1 { Ok(()) } else { write!(f, "{}", Summary::of(all)) }
            }
        }
    }
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Text { line, label, text } = &self.text;
        if *line > 0 {
            write!(f, "{line}: ")?;
        }
        let Some(a) = &self.answer else { return write!(f, "no counts yet: {text}") };
        write!(f, "{}  {:.3} +- {:.3}, ", a.label, a.probability, a.probability_error)?;
        write!(f, "margin {:.2} +- {:.2}", a.margin, a.margin_error)?;
        if self.found == 0 {
            write!(f, ", rejected: nothing of the text is known")?;
        } else if a.rejected {
            write!(f, ", rejected: under the model's threshold")?;
        }
        if self.exact != a.label {
            write!(f, ", by exact simulation {}", self.exact)?;
        }
        if let Some(label) = label.as_ref().filter(|l| **l != a.label) {
            write!(f, ", labelled {label}")?;
        }
        write!(f, ": {text}")
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let share = |s: &Share| {
            let [share, low, high] = [s.share, s.low, s.high].map(|x| 100.0 * x);
            format!("{} of {} ({share:.1} %; {low:.1} to {high:.1})", s.hits, s.of)
        };
        if let Some(accuracy) = &self.accuracy {
            writeln!(f, "right: {}", share(accuracy))?;
        }
        writeln!(f, "as decided by exact simulation: {}", share(&self.agreement))?;
        writeln!(f, "other class by over three standard errors: {}", self.clear_disagreements)
    }
}

/// What `of` makes of the counts of item `wanted`, if they are all there.
fn item<'a, T>(
    jobs: &'a [Job],
    wanted: usize,
    mitigate: bool,
    of: impl Fn(&[Part<'_>]) -> Result<T>,
) -> Result<Option<T>> {
    let part = |job: &'a Job| {
        let State::Finished { counts, .. } = &job.state else { return Ok(None) };
        let counts = Counts::from_strings(counts, job.bits);
        let counts = counts.with_context(|| format!("job {}", job.number))?;
        let errors = job.bit_errors.clone().filter(|_| mitigate);
        Ok(Some(Part { weight: job.weight, readouts: &job.readouts, counts, errors }))
    };
    let parts = jobs.iter().filter(|j| j.item == wanted).map(part);
    let Some(parts) = parts.collect::<Result<Option<Vec<_>>>>()? else { return Ok(None) };
    ensure!(
        !mitigate || parts.iter().all(|part| part.errors.is_some()),
        "the chip published no read-out errors when this batch was made; leave out --mitigate"
    );
    of(&parts).map(Some)
}

/// The model file, if it is the one that the circuits were made of.
fn unchanged(path: &Path, sha256: &str) -> Result<Vec<u8>> {
    let bytes = std::fs::read(path).of_file(path)?;
    ensure!(
        hex::encode(Sha256::digest(&bytes)) == sha256,
        "{}: is another file than when the batch was made; put the old one back to read the counts",
        path.display()
    );
    Ok(bytes)
}

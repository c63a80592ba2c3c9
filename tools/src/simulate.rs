//! The rehearsal of a data set: what shots and noise make of a model's decisions, beside the exact
//! ones.

use crate::circuit::two_qubit_gates;
use crate::deploy::{Deployment, bit_errors};
use crate::noise::{NoiseModel, Sampler};
use crate::texts::Text;
use crate::transpile::Compiled;
use anyhow::{Context as _, Result};
use qdllm_runtime::Scratch;
use rayon::prelude::*;
use serde::Serialize;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    pub shots: u64,
    pub seed: u64,
    pub mitigate: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Rehearsed {
    pub line: usize,
    pub wanted: Option<usize>,
    pub exact: Decision,
    pub shots: Decision,
    pub noisy: Decision,
    /// CZ gates of each of its circuits.
    pub cz: Vec<usize>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Decision {
    pub class: usize,
    pub probability: f64,
    /// The largest logit less the next, and its standard error (0 for the exact one).
    pub margin: (f64, f64),
    /// Mean distance of the expectations from the exact ones.
    pub mean_dz: f64,
}

/// Rehearses every text, in parallel; the order of the texts is kept.
pub fn rehearse(
    deployment: &Deployment<'_>,
    texts: &[Text],
    noise: &NoiseModel,
    settings: &Settings,
    progress: impl Fn() + Sync,
) -> Result<Vec<Rehearsed>> {
    let one = |(i, text)| {
        let one = one(deployment, text, noise, settings, i as u64);
        progress();
        one
    };
    texts.par_iter().enumerate().map(one).collect()
}

fn one(
    deployment: &Deployment<'_>,
    text: &Text,
    noise: &NoiseModel,
    settings: &Settings,
    number: u64,
) -> Result<Rehearsed> {
    let line = || format!("text on line {}", text.line);
    let circuits = deployment.compile(&text.text).with_context(line)?;
    let wanted = text.label.as_ref().map(|l| class_of(deployment, l, text.line)).transpose()?;
    let mut scratch = Scratch::new();
    let prediction = deployment.model.classify(&text.text, &mut scratch).with_context(line)?;
    let truth: Vec<f64> = prediction.expectations().iter().map(|&e| f64::from(e)).collect();
    let mut logits = deployment.head.logits(&truth);
    logits.sort_by(|a, b| b.total_cmp(a));
    let exact = Decision {
        class: prediction.class(),
        probability: f64::from(prediction.probability()),
        margin: (logits[0] - logits[1], 0.0),
        mean_dz: 0.0,
    };
    let none = NoiseModel::none();
    // Each text and each of the two runs has random numbers of its own.
    let seed = |run: u64| settings.seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ (2 * number + run);
    let sampled = |noise: &NoiseModel, seed: u64, undo: bool| {
        decide(deployment, &circuits, noise, settings.shots, seed, undo, &truth)
    };
    Ok(Rehearsed {
        line: text.line,
        wanted,
        exact,
        shots: sampled(&none, seed(0), false)?,
        noisy: sampled(noise, seed(1), settings.mitigate)?,
        cz: circuits.iter().map(|c| two_qubit_gates(&c.circuit)).collect(),
    })
}

fn decide(
    deployment: &Deployment<'_>,
    circuits: &[Compiled],
    noise: &NoiseModel,
    shots: u64,
    seed: u64,
    undo: bool,
    truth: &[f64],
) -> Result<Decision> {
    let (mut counts, mut errors) = (Vec::new(), Vec::new());
    for (i, compiled) in circuits.iter().enumerate() {
        let own = seed ^ (i as u64 + 1) << 48;
        counts.push(Sampler::new(&compiled.circuit, noise)?.sample(shots, own)?);
        let known = || bit_errors(compiled, |q| Some(noise.qubit(q).readout)).ok();
        errors.push(undo.then(known).flatten());
    }
    let answer = deployment.answer_with(circuits, &counts, &errors)?;
    let far = answer.expectations.values.iter().zip(truth).map(|(a, b)| (a - b).abs());
    Ok(Decision {
        class: answer.class,
        probability: answer.probability,
        margin: (answer.margin, answer.margin_error),
        mean_dz: far.sum::<f64>() / truth.len().max(1) as f64,
    })
}

fn class_of(deployment: &Deployment<'_>, label: &str, line: usize) -> Result<usize> {
    let labels = &deployment.head.labels;
    labels.iter().position(|l| l == label).with_context(|| {
        let classes = labels.join(", ");
        format!("line {line}: label `{label}` is no class of the model; its classes are {classes}")
    })
}

/// How many of how many, with the 95% interval of Wilson's score.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Share {
    pub hits: usize,
    pub of: usize,
    pub share: f64,
    pub low: f64,
    pub high: f64,
}

impl Share {
    pub fn of(all: impl Iterator<Item = bool>) -> Self {
        let (mut hits, mut of) = (0, 0);
        for hit in all {
            hits += usize::from(hit);
            of += 1;
        }
        // 97.5% quantile of the normal distribution.
        let z2 = 1.959_963_985_f64.powi(2);
        let (n, p) = (of.max(1) as f64, hits as f64 / of.max(1) as f64);
        let centre = (p + z2 / (2.0 * n)) / (1.0 + z2 / n);
        let half = (z2 * (p * (1.0 - p) / n + z2 / (4.0 * n * n))).sqrt() / (1.0 + z2 / n);
        Self { hits, of, share: p, low: (centre - half).max(0.0), high: (centre + half).min(1.0) }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Score {
    /// Decisions that are the label; absent if no text has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accuracy: Option<Share>,
    pub agreement: Share,
    /// Decisions that differ from the statevector's although their margin is over three of its
    /// standard errors: not explained by the scatter of the shots.
    pub clear_disagreements: usize,
    pub mean_dz: f64,
}

impl Score {
    pub fn of(all: &[Rehearsed], pick: impl Fn(&Rehearsed) -> &Decision) -> Self {
        let labelled: Vec<_> = all.iter().filter_map(|r| Some((r, r.wanted?))).collect();
        let accuracy = (!labelled.is_empty())
            .then(|| Share::of(labelled.iter().map(|(r, wanted)| pick(r).class == *wanted)));
        let clear = |r: &&Rehearsed| {
            let d = pick(r);
            d.class != r.exact.class && d.margin.0 > 3.0 * d.margin.1
        };
        Self {
            accuracy,
            agreement: Share::of(all.iter().map(|r| pick(r).class == r.exact.class)),
            clear_disagreements: all.iter().filter(clear).count(),
            mean_dz: all.iter().map(|r| pick(r).mean_dz).sum::<f64>() / all.len().max(1) as f64,
        }
    }
}

/// Tasks that one user may have in a day, as the service's documentation of July 2026 says.
pub const TASKS_A_DAY: usize = 1000;

#[derive(Debug, Serialize)]
pub struct Report {
    pub target: String,
    pub calibrated: Option<String>,
    pub assumed: Vec<String>,
    pub texts: usize,
    pub shots: u64,
    pub mitigated: bool,
    pub exact: Score,
    pub noiseless: Score,
    pub noisy: Score,
    pub quota: Quota,
    pub seconds: f64,
    pub labels: Vec<String>,
    pub decisions: Vec<Rehearsed>,
}

#[derive(Debug, Serialize)]
pub struct Quota {
    pub jobs: usize,
    pub shots: u64,
    /// At the service's documented limit of tasks a day.
    pub days: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wilsons_interval_at_known_points() {
        // Newcombe 1998, table I: 81 of 263 is 0.2553 to 0.3662; 0 of 20 is 0 to 0.1611.
        let s = Share::of((0..263).map(|i| i < 81));
        assert!((s.low - 0.2553).abs() < 5e-5 && (s.high - 0.3662).abs() < 5e-5, "{s:?}");
        let s = Share::of((0..20).map(|_| false));
        assert!(s.low < 1e-15 && (s.high - 0.1611).abs() < 5e-5, "{s:?}");
    }
}

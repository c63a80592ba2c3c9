//! The rehearsal of a data set: what shots and noise make of a model's decisions, beside the exact
//! ones.

use crate::circuit::two_qubit_gates;
use crate::noise::{NoiseModel, Sampler};
use crate::readout::{LinearHead, Part, answer};
use crate::texts::Text;
use crate::transpile::Plan;
use crate::transpile::source::inputs_of;
use anyhow::{Context as _, Result};
use qdllm_runtime::{Model, Scratch};
use rayon::prelude::*;
use serde::Serialize;
use std::fmt;

/// A model laid out on a processor once, each text of which only sets angles (under 5 ms a text), and how it is
/// rehearsed.
#[derive(Clone, Debug)]
pub struct Rehearsal<'a> {
    pub model: Model<'a>,
    pub head: LinearHead,
    pub plan: Plan,
    pub noise: NoiseModel,
    pub shots: u64,
    pub seed: u64,
    /// Undo the read-out errors.
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

impl Rehearsal<'_> {
    /// Rehearses every text, in parallel; the order of the texts is kept.
    pub fn run(&self, texts: &[Text], progress: impl Fn() + Sync) -> Result<Vec<Rehearsed>> {
        let one = |(i, text)| {
            let one = self.one(text, i as u64);
            progress();
            one
        };
        texts.par_iter().enumerate().map(one).collect()
    }

    fn one(&self, text: &Text, number: u64) -> Result<Rehearsed> {
        let line = || format!("text on line {}", text.line);
        let inputs = inputs_of(&self.model, &text.text);
        let circuits = inputs.and_then(|x| self.plan.compile(&x)).with_context(line)?;
        let wanted = text.label.as_ref().map(|l| self.class_of(l, text.line)).transpose()?;
        let mut scratch = Scratch::new();
        let prediction = self.model.classify(&text.text, &mut scratch).with_context(line)?;
        let truth: Vec<f64> = prediction.expectations().iter().map(|&e| f64::from(e)).collect();
        let mut logits = self.head.logits(&truth);
        logits.sort_by(|a, b| b.total_cmp(a));
        let exact = Decision {
            class: prediction.class(),
            probability: f64::from(prediction.probability()),
            margin: (logits[0] - logits[1], 0.0),
            mean_dz: 0.0,
        };
        let known = prediction.found() > 0;
        // Each text and each of the two runs has random numbers of its own.
        let seed = |run: u64| self.seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ (2 * number + run);
        let sampled = |noise: &NoiseModel, seed: u64, undo: bool| -> Result<Decision> {
            // Of a text of which nothing is known no circuit decides.
            if !known {
                return Ok(exact.clone());
            }
            let mut parts = Vec::new();
            for (i, c) in circuits.iter().enumerate() {
                let own = seed ^ (i as u64 + 1) << 48;
                let counts = Sampler::new(&c.circuit, noise)?.sample(self.shots, own)?;
                let known = || c.bit_errors(|q| Some(noise.qubit(q).readout));
                let errors = undo.then(known).flatten();
                parts.push(Part { weight: c.weight, readouts: &c.readouts, counts, errors });
            }
            let answer = answer(&self.head, &parts)?;
            let far = answer.expectations.values.iter().zip(&truth).map(|(a, b)| (a - b).abs());
            Ok(Decision {
                class: answer.class,
                probability: answer.probability,
                margin: (answer.margin, answer.margin_error),
                mean_dz: far.sum::<f64>() / truth.len().max(1) as f64,
            })
        };
        Ok(Rehearsed {
            line: text.line,
            wanted,
            shots: sampled(&NoiseModel::none(), seed(0), false)?,
            noisy: sampled(&self.noise, seed(1), self.mitigate)?,
            exact: exact.clone(),
            cz: circuits.iter().map(|c| two_qubit_gates(&c.circuit)).collect(),
        })
    }

    fn class_of(&self, label: &str, line: usize) -> Result<usize> {
        let labels = &self.head.labels;
        labels.iter().position(|l| l == label).with_context(|| {
            let classes = labels.join(", ");
            format!(
                "line {line}: label `{label}` is no class of the model; its classes are {classes}"
            )
        })
    }
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

/// A table.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let date = self.calibrated.as_deref().unwrap_or("none");
        writeln!(f, "target {}, calibration: {date}", self.target)?;
        if !self.assumed.is_empty() {
            let assumed = self.assumed.join("; ");
            writeln!(f, "assumed, for want of published figures: {assumed}")?;
        }
        writeln!(f, "{} texts, {} shots a circuit", self.texts, self.shots)?;
        writeln!(
            f,
            "{:<18} {:>26} {:>26} {:>10}",
            "", "accuracy", "same as statevector", "mean |dZ|"
        )?;
        let noisy = if self.mitigated { "noise, mitigated" } else { "noise" };
        for (name, score) in
            [("exact", &self.exact), ("shots alone", &self.noiseless), (noisy, &self.noisy)]
        {
            let share = |s: &Share| format!("{:.3} ({:.3} to {:.3})", s.share, s.low, s.high);
            let accuracy = score.accuracy.as_ref().map_or("no labels".into(), share);
            let agreement = share(&score.agreement);
            writeln!(f, "{name:<18} {accuracy:>26} {agreement:>26} {:>10.4}", score.mean_dz)?;
        }
        writeln!(
            f,
            "other class although the margin is over three standard errors: {} by shots alone, {} with noise",
            self.noiseless.clear_disagreements, self.noisy.clear_disagreements
        )?;
        let Quota { jobs, shots, days } = &self.quota;
        write!(
            f,
            "on the processor: {jobs} jobs, {shots} shots, {days} day(s) at {TASKS_A_DAY} tasks a day"
        )
    }
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

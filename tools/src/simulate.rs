//! The rehearsal of a data set: what shots and noise make of a model's decisions, beside the exact
//! ones.

use crate::circuit::two_qubit_gates;
use crate::histogram::histogram;
use crate::noise::{NoiseModel, Sampler};
use crate::readout::{Estimate, LinearHead, Part, answer, expectations};
use crate::statevector::StateVector;
use crate::texts::Text;
use crate::transpile::source::{Source, inputs_of};
use crate::transpile::{Compiled, Plan};
use anyhow::{Context as _, Result};
use qdllm_host::terminal;
use qdllm_runtime::{Model, Scratch};
use rayon::prelude::*;
use serde::Serialize;
use std::collections::BTreeMap;
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
    pub line: u64,
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
        let seed = |run| seed_of(self.seed, number, run);
        let decided = |noise: &NoiseModel, seed: u64, undo: bool| -> Result<Decision> {
            // Of a text of which nothing is known no circuit decides.
            if !known {
                return Ok(exact.clone());
            }
            let parts = sampled(&circuits, noise, self.shots, seed, undo)?;
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
            shots: decided(&NoiseModel::none(), seed(0), false)?,
            noisy: decided(&self.noise, seed(1), self.mitigate)?,
            exact: exact.clone(),
            cz: circuits.iter().map(|c| two_qubit_gates(&c.circuit)).collect(),
        })
    }

    fn class_of(&self, label: &str, line: u64) -> Result<usize> {
        let labels = &self.head.labels;
        labels.iter().position(|l| l == label).with_context(|| {
            let classes = labels.join(", ");
            format!(
                "line {line}: label `{label}` is no class of the model; its classes are {classes}"
            )
        })
    }
}

/// Each text and each of the two runs has random numbers of its own.
const fn seed_of(seed: u64, text: u64, run: u64) -> u64 {
    seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ (2 * text + run)
}

/// Shots of each circuit of a mixture; with `undo`, read-out errors are to be undone.
fn sampled<'a>(
    circuits: &'a [Compiled],
    noise: &NoiseModel,
    shots: u64,
    seed: u64,
    undo: bool,
) -> Result<Vec<Part<'a>>> {
    let part = |(i, c): (usize, &'a Compiled)| {
        let own = seed ^ (i as u64 + 1) << 48;
        let counts = Sampler::new(&c.circuit, noise)?.sample(shots, own)?;
        let known = || c.bit_errors(|q| Some(noise.qubit(q).readout));
        let errors = undo.then(known).flatten();
        Ok(Part { weight: c.weight, readouts: &c.readouts, counts, errors })
    };
    circuits.iter().enumerate().map(part).collect()
}

/// What shots and noise make of a circuit without a model.
#[derive(Debug, Serialize)]
pub struct Outputs {
    #[serde(flatten)]
    pub run: Run,
    /// The expectation of each output: exactly, by shots alone, and with noise.
    pub exact: Vec<f64>,
    pub noiseless: Estimate,
    pub noisy: Estimate,
    /// Counts of each circuit, with noise; rightmost character `c[0]`.
    pub counts: Vec<BTreeMap<String, u64>>,
}

impl Outputs {
    pub fn of(
        run: Run,
        source: &Source,
        circuits: &[Compiled],
        noise: &NoiseModel,
        seed: u64,
    ) -> Result<Self> {
        let all: Vec<u8> = (0..source.qubits).collect();
        let state = StateVector::after(&source.with_inputs(&[]), &all);
        let weights: Vec<f64> = state.context("too many qubits")?.weights().collect();
        let exact = |&(mask, negated): &(u16, bool)| {
            let sign = |x: usize| {
                let odd = (x & mask as usize).count_ones() % 2 == 1;
                if odd == negated { 1.0 } else { -1.0 }
            };
            weights.iter().enumerate().map(|(x, w)| sign(x) * w).sum()
        };
        let outputs = source.outputs.len();
        let none = NoiseModel::none();
        let plain = sampled(circuits, &none, run.shots, seed_of(seed, 0, 0), false)?;
        let noisy = sampled(circuits, noise, run.shots, seed_of(seed, 0, 1), run.mitigated)?;
        Ok(Self {
            run,
            exact: source.outputs.iter().map(exact).collect(),
            noiseless: expectations(&plain, outputs)?,
            noisy: expectations(&noisy, outputs)?,
            counts: noisy.iter().map(|part| part.counts.strings()).collect(),
        })
    }
}

impl fmt::Display for Outputs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.run.head(f)?;
        writeln!(f, "{} shots a circuit", self.run.shots)?;
        writeln!(
            f,
            "{:<8} {:>9} {:>20} {:>20}",
            "output",
            "exact",
            "shots alone",
            self.run.noisy()
        )?;
        for (k, exact) in self.exact.iter().enumerate() {
            let of = |e: &Estimate| format!("{:+.4} +- {:.4}", e.values[k], e.errors[k]);
            let (plain, noisy) = (of(&self.noiseless), of(&self.noisy));
            writeln!(f, "{k:<8} {exact:>+9.4} {plain:>20} {noisy:>20}")?;
        }
        for (i, counts) in self.counts.iter().enumerate() {
            writeln!(f, "circuit {} of {}, with noise:", i + 1, self.counts.len())?;
            f.write_str(&histogram(counts, terminal::width()))?;
        }
        self.run.foot(f)
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

/// Where and how something is rehearsed.
#[derive(Debug, Serialize)]
pub struct Run {
    pub target: String,
    pub calibrated: Option<String>,
    pub assumed: Vec<String>,
    pub shots: u64,
    pub mitigated: bool,
    pub quota: Quota,
    pub seconds: f64,
}

impl Run {
    fn head(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let date = self.calibrated.as_deref().unwrap_or("none");
        writeln!(f, "target {}, calibration: {date}", self.target)?;
        if self.assumed.is_empty() {
            return Ok(());
        }
        let assumed = self.assumed.join("; ");
        writeln!(f, "assumed, for want of published figures: {assumed}")
    }

    fn foot(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Quota { jobs, shots, days } = &self.quota;
        write!(
            f,
            "on the processor: {jobs} jobs, {shots} shots, {days} day(s) at {TASKS_A_DAY} tasks a day"
        )
    }

    const fn noisy(&self) -> &'static str {
        if self.mitigated { "noise, mitigated" } else { "noise" }
    }
}

#[derive(Debug, Serialize)]
pub struct Report {
    #[serde(flatten)]
    pub run: Run,
    pub texts: usize,
    pub exact: Score,
    pub noiseless: Score,
    pub noisy: Score,
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

impl Quota {
    pub const fn of(jobs: usize, shots_each: u64) -> Self {
        Self { jobs, shots: jobs as u64 * shots_each, days: jobs.div_ceil(TASKS_A_DAY) }
    }
}

/// A table.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.run.head(f)?;
        writeln!(f, "{} texts, {} shots a circuit", self.texts, self.run.shots)?;
        writeln!(
            f,
            "{:<18} {:>26} {:>26} {:>10}",
            "", "accuracy", "same as statevector", "mean |dZ|"
        )?;
        let noisy = self.run.noisy();
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
        self.run.foot(f)
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

//! The rule by which a model tells foreign texts: a logistic regression on what classification leaves behind, fitted on the
//! right answers to validation texts and on foreign texts.

use super::Prepared;
use super::front_end::FrontEnd;
use crate::inference::Scratch;
use crate::options::Config;
use crate::regression::logistic::{Dense, Logistic, Objective};
use anyhow::{Result, anyhow};
use qdllm_host::rows::texts_of;
use qdllm_host::terminal::note;
use qdllm_runtime::format::encode::{Parts, encode};
use qdllm_runtime::{EVIDENCE, Evidence, Model};
use serde::Serialize;

/// Sentences of many domains and languages, and nonsense; `trainer/data/foreign` says where they come from.
const SHIPPED: &str = include_str!("../../data/foreign/foreign.txt");
/// Fewer right answers, or foreign texts, tell nothing.
const LEAST: usize = 30;
/// A text of the shipped list that the model answers so surely, knowing all of it, is taken for one of its own.
const OWN: f64 = 0.9;

/// A fitted rule.
#[derive(Clone, Debug, Serialize)]
pub struct Rule {
    #[serde(skip)]
    weights: [f32; EVIDENCE],
    #[serde(skip)]
    bias: f32,
    /// Share of the right answers to validation texts that it gives up.
    pub given_up: f32,
    /// Share of foreign texts that it rejects, each judged by a rule that was fitted without it.
    pub foreign_recall: f32,
    /// Chance that a foreign text has less of the rule's score than a right answer.
    pub auroc: f32,
    pub foreign_texts: usize,
}

impl Rule {
    /// Fits a rule for a model that has none yet, where settings ask for one and there are texts to fit it to.
    pub fn fit<F: FrontEnd>(
        parts: &mut Parts,
        prepared: &Prepared<F>,
        config: &Config,
    ) -> Result<Option<Self>> {
        let rate = config.reject_rate();
        if rate == 0.0 || !config.sources.vectors.is_empty() {
            return Ok(None);
        }
        // A rule of zeros: the model tells its evidence.
        parts.rejection = Some([0.0; EVIDENCE + 3]);
        let bytes = encode(parts).map_err(refused)?;
        let model = Model::parse(&bytes).map_err(refused)?;
        let mut scratch = Box::new(Scratch::new());
        let mut own = Vec::new();
        for (i, probe) in prepared.probes.iter().enumerate() {
            let p = F::classify(&model, probe, &mut scratch).map_err(refused)?;
            if prepared.valid.sample(i, None).class() == Some(p.class()) && p.found() > 0 {
                own.push(numbers(p.evidence()));
            }
        }
        let mut foreign = Vec::new();
        for text in foreign_texts(config)? {
            let p = model.classify(&text?, &mut scratch).map_err(refused)?;
            foreign.push((p.found() > 0).then(|| numbers(p.evidence())));
        }
        if config.sources.foreign.is_none() {
            let looks_own = |e: &[f64]| e[2] > OWN && e[EVIDENCE - 1] > OWN;
            foreign.retain(|e| !e.as_ref().is_some_and(|e| looks_own(e)));
        }
        if own.len() < LEAST || foreign.len() < LEAST {
            note(format_args!(
                "warning: no rule of rejection: {} right answers to validation texts and {} foreign texts are too few",
                own.len(),
                foreign.len()
            ));
            return Ok(None);
        }
        Ok(Some(Self::of(&own, &foreign, rate)))
    }

    /// Of the evidence of right answers and of foreign texts; none for a text of which nothing is known, which is rejected
    /// without a rule.
    fn of(own: &[Vec<f64>], foreign: &[Option<Vec<f64>>], rate: f64) -> Self {
        let half = |keep: usize| -> Vec<Vec<f64>> {
            let each = foreign.iter().enumerate().filter(|(i, _)| i % 2 == keep);
            each.filter_map(|(_, e)| e.clone()).collect()
        };
        let (mut rejected, mut below) = (0, 0.0);
        let known = foreign.iter().flatten().count();
        for keep in 0..2 {
            let (weights, bias) = fit(own, &half(keep), rate);
            let scores: Vec<f64> =
                half(1 - keep).iter().map(|e| score(&weights, bias, e)).collect();
            rejected += scores.iter().filter(|&&s| s < 0.0).count();
            let mut right: Vec<f64> = own.iter().map(|e| score(&weights, bias, e)).collect();
            right.sort_by(f64::total_cmp);
            let under = |s: &f64| right.len() - right.partition_point(|r| r <= s);
            below += scores.iter().map(|s| under(s) as f64).sum::<f64>() / right.len() as f64;
        }
        let unknown = foreign.len() - known;
        let all = half(0).into_iter().chain(half(1)).collect::<Vec<_>>();
        let (weights, bias) = fit(own, &all, rate);
        let given_up = own.iter().filter(|e| score(&weights, bias, e) < 0.0).count();
        Self {
            weights: std::array::from_fn(|i| weights[i] as f32),
            bias: bias as f32,
            given_up: given_up as f32 / own.len() as f32,
            foreign_recall: (rejected + unknown) as f32 / foreign.len() as f32,
            auroc: ((below + unknown as f64) / foreign.len() as f64) as f32,
            foreign_texts: foreign.len(),
        }
    }

    /// As the encoder takes it.
    pub fn numbers(&self) -> [f32; EVIDENCE + 3] {
        let mut numbers = [self.bias; EVIDENCE + 3];
        numbers[..EVIDENCE].copy_from_slice(&self.weights);
        (numbers[EVIDENCE + 1], numbers[EVIDENCE + 2]) = (self.given_up, self.foreign_recall);
        numbers
    }
}

impl std::fmt::Display for Rule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{:.1}% of {} foreign texts and {:.1}% of right answers (area under the curve {:.3})",
            100.0 * self.foreign_recall,
            self.foreign_texts,
            100.0 * self.given_up,
            self.auroc
        )
    }
}

pub(super) fn refused(why: qdllm_runtime::Error) -> anyhow::Error {
    anyhow!("the model file would be refused: {why}")
}

fn foreign_texts(config: &Config) -> Result<Box<dyn Iterator<Item = Result<String>>>> {
    Ok(match &config.sources.foreign {
        Some(path) => Box::new(texts_of(path, &config.sources.rows)?),
        None => Box::new(SHIPPED.lines().map(|line| Ok(line.to_owned()))),
    })
}

fn numbers(evidence: &Evidence) -> Vec<f64> {
    evidence.iter().map(|&x| f64::from(x) / 65_536.0).collect()
}

fn score(weights: &[f64], bias: f64, evidence: &[f64]) -> f64 {
    weights.iter().zip(evidence).fold(bias, |sum, (w, x)| sum + w * x)
}

/// Weights and bias: of the right answers at most a share of `rate` has a score under 0.
fn fit(own: &[Vec<f64>], foreign: &[Vec<f64>], rate: f64) -> (Vec<f64>, f64) {
    // Each number in units of its spread among right answers, so that one penalty serves all.
    let count = own.len() as f64;
    let spread = |i: usize| {
        let mean = own.iter().map(|e| e[i]).sum::<f64>() / count;
        (own.iter().map(|e| (e[i] - mean).powi(2)).sum::<f64>() / count).sqrt().max(1e-2)
    };
    let units: Vec<f64> = (0..EVIDENCE).map(spread).collect();
    let rows = own.iter().chain(foreign);
    let values = rows.flat_map(|e| e.iter().zip(&units).map(|(x, unit)| x / unit)).collect();
    let x = Dense { columns: EVIDENCE, values };
    let classes: Vec<usize> = (0..x.rows()).map(|i| usize::from(i < own.len())).collect();
    // Both sides count the same.
    let shares = [0.5 / foreign.len().max(1) as f64, 0.5 / count];
    let counts: Vec<f64> = classes.iter().map(|&class| shares[class]).collect();
    let objective = Objective { share: 1.0, penalty: 1e-3, tolerance: 1e-7, iterations: 300 };
    let mut rule = Logistic::zero(1, EVIDENCE);
    rule.fit(&x, (&classes, &counts), objective);
    let weights: Vec<f64> = rule.weights().iter().zip(&units).map(|(w, unit)| w / unit).collect();
    let mut scores: Vec<f64> = own.iter().map(|e| score(&weights, 0.0, e)).collect();
    scores.sort_by(f64::total_cmp);
    let first = scores[((rate * count) as usize).min(scores.len() - 1)];
    // The device rounds each product to 2^-16.
    (weights, 1e-3 - first)
}

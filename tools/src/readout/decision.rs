//! Counts of the circuits of one text to a decision with its statistical error.

use crate::readout::counts::Counts;
use crate::readout::{BitError, Readout, word_value};
use anyhow::{Error, Result, anyhow, ensure};
use qdllm_runtime::format::Kind;
use qdllm_runtime::format::floats::Floats;
use qdllm_runtime::{Error as ModelError, Model};
use serde::Serialize;

/// The model's last layer in f64, with its labels: what turns expectations into logits.
#[derive(Clone, Debug, PartialEq)]
pub struct LinearHead {
    pub weights: Vec<Vec<f64>>,
    pub biases: Vec<f64>,
    pub labels: Vec<String>,
    /// What divides the logits before the softmax.
    pub temperature: f64,
    pub reject_below: f64,
}

impl LinearHead {
    pub fn of(model: &Model<'_>) -> Result<Self> {
        let (classes, outputs) = (model.classes(), model.program().outputs());
        let section = model.container().need(Kind::Head)?;
        let table = Floats::parse(section, classes * (outputs + 1), ModelError::BadHead)?;
        let number = |i: usize| f64::from(table.get(i));
        let row = |class: usize| (0..outputs).map(|k| number(class * outputs + k)).collect();
        Ok(Self {
            weights: (0..classes).map(row).collect(),
            biases: (0..classes).map(|class| number(classes * outputs + class)).collect(),
            labels: (0..classes).map(|class| model.label(class).to_owned()).collect(),
            temperature: f64::from(model.head().temperature()),
            reject_below: f64::from(model.head().reject_below()),
        })
    }

    pub fn outputs(&self) -> usize {
        self.weights.first().map_or(0, Vec::len)
    }

    pub fn logits(&self, expectations: &[f64]) -> Vec<f64> {
        let logit = |(row, bias): (&Vec<f64>, &f64)| {
            row.iter().zip(expectations).fold(*bias, |sum, (w, e)| sum + w * e)
        };
        self.weights.iter().zip(&self.biases).map(logit).collect()
    }

    /// One probability a class: softmax of `logit / temperature`.
    pub fn probabilities(&self, logits: &[f64]) -> Vec<f64> {
        let highest = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let parts: Vec<f64> =
            logits.iter().map(|l| ((l - highest) / self.temperature).exp()).collect();
        let sum: f64 = parts.iter().sum();
        parts.into_iter().map(|p| p / sum).collect()
    }
}

/// What was measured of one circuit of a mixture.
#[derive(Clone, Copy, Debug)]
pub struct Part<'a> {
    /// How much its outputs count; the weights of all parts sum to 1.
    pub weight: f64,
    pub readouts: &'a [Readout],
    pub counts: &'a Counts,
    /// Errors of each classical bit that are to be undone; `None`: counts are taken as they are.
    pub errors: Option<&'a [BitError]>,
}

pub(crate) fn not_undone(part: usize, bit: usize) -> Error {
    anyhow!("circuit {part}: the read-out errors of c[{bit}] are unknown or too large to be undone")
}

/// Means over shots and their standard errors.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Estimate {
    pub values: Vec<f64>,
    pub errors: Vec<f64>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Answer {
    /// The class of the largest logit; of equals the first.
    pub class: usize,
    pub label: String,
    pub probability: f64,
    pub probability_error: f64,
    pub rejected: bool,
    pub logits: Vec<f64>,
    pub logit_errors: Vec<f64>,
    pub margin: f64,
    /// One standard error of the margin; logits of one circuit share shots, so this is not the sum of
    /// their variances.
    pub margin_error: f64,
    /// The expectations behind the logits. With read-out errors undone they may leave -1..=1.
    pub expectations: Estimate,
}

pub fn expectations(parts: &[Part<'_>], outputs: usize) -> Result<Estimate> {
    let (values, covariance) = combined(parts, outputs, |words| words)?;
    Ok(Estimate { values, errors: standard_errors(&covariance) })
}

pub fn answer(head: &LinearHead, parts: &[Part<'_>]) -> Result<Answer> {
    let expectations = expectations(parts, head.outputs())?;
    // Each shot's own logits: their sample covariance knows what the words have in common.
    let (logits, covariance) = combined(parts, head.outputs(), |words| head.logits(&words))?;
    let probabilities = head.probabilities(&logits);
    let largest = |skip: Option<usize>| {
        let others = logits.iter().copied().enumerate().filter(|&(i, _)| Some(i) != skip);
        others.reduce(|best, next| if next.1 > best.1 { next } else { best })
    };
    let (class, top) = largest(None).unwrap_or((0, 0.0));
    let (second, next) = largest(Some(class)).unwrap_or((class, top));
    let margin_variance =
        covariance[class][class] + covariance[second][second] - 2.0 * covariance[class][second];
    let probability = probabilities[class];
    // d p_class / d logit_j, the delta method.
    let slope = |j: usize| {
        let same = if j == class { 1.0 } else { 0.0 };
        probability * (same - probabilities[j]) / head.temperature
    };
    let variance: f64 = (0..logits.len())
        .flat_map(|i| (0..logits.len()).map(move |j| (i, j)))
        .map(|(i, j)| slope(i) * slope(j) * covariance[i][j])
        .sum();
    Ok(Answer {
        class,
        label: head.labels.get(class).cloned().unwrap_or_default(),
        probability,
        probability_error: variance.max(0.0).sqrt(),
        rejected: probability < head.reject_below,
        logit_errors: standard_errors(&covariance),
        margin: top - next,
        margin_error: margin_variance.max(0.0).sqrt(),
        logits,
        expectations,
    })
}

/// Weighted mean over the circuits of a function of each shot's word values, with its covariance.
fn combined(
    parts: &[Part<'_>],
    outputs: usize,
    of: impl Fn(Vec<f64>) -> Vec<f64>,
) -> Result<(Vec<f64>, Vec<Vec<f64>>)> {
    let total: f64 = parts.iter().map(|p| p.weight).sum();
    ensure!((total - 1.0).abs() <= 1e-6, "the weights of the circuits sum to {total}, not to 1");
    let (mut means, mut covariances) = (Vec::new(), Vec::new());
    for (i, part) in parts.iter().enumerate() {
        check(i + 1, part, outputs)?;
        let words = |x| part.readouts.iter().map(|r| word_value(r, x, part.errors)).collect();
        let samples: Vec<_> = part.counts.iter().map(|(x, n)| (of(words(x)), n)).collect();
        let (mean, covariance) = moments(&samples);
        let w = part.weight;
        means.resize(mean.len(), 0.0);
        covariances.resize(mean.len(), vec![0.0; mean.len()]);
        means.iter_mut().zip(mean).for_each(|(s, m)| *s += w * m);
        for (row, added) in covariances.iter_mut().zip(covariance) {
            row.iter_mut().zip(added).for_each(|(s, c)| *s += w * w * c);
        }
    }
    Ok((means, covariances))
}

fn check(number: usize, part: &Part<'_>, outputs: usize) -> Result<()> {
    let found = part.readouts.len();
    ensure!(found == outputs, "circuit {number} gives {found} outputs; the model takes {outputs}");
    let bits = part.counts.bits();
    for &bit in part.readouts.iter().flat_map(|r| &r.bits) {
        ensure!(
            usize::from(bit) < bits,
            "circuit {number} reads c[{bit}]; its counts have {bits} bits"
        );
        let undone = |all: &[BitError]| all.get(bit as usize).is_some_and(BitError::can_be_undone);
        if !part.errors.is_none_or(undone) {
            return Err(not_undone(number, bit.into()));
        }
    }
    let shots = part.counts.shots();
    ensure!(shots >= 2, "circuit {number} has {shots} shots; at least 2 are needed");
    Ok(())
}

/// The mean of `samples` (value, times seen; together at least two) and its covariance: the unbiased sample
/// covariance divided by the number of shots.
fn moments(samples: &[(Vec<f64>, u64)]) -> (Vec<f64>, Vec<Vec<f64>>) {
    let length = samples.first().map_or(0, |s| s.0.len());
    let shots = samples.iter().map(|s| s.1 as f64).sum::<f64>();
    let mut mean = vec![0.0; length];
    for (value, n) in samples {
        mean.iter_mut().zip(value).for_each(|(m, v)| *m += v * *n as f64 / shots);
    }
    let mut covariance = vec![vec![0.0; length]; length];
    let scale = 1.0 / (shots * (shots - 1.0));
    for (value, n) in samples {
        let off: Vec<f64> = value.iter().zip(&mean).map(|(v, m)| v - m).collect();
        for (row, a) in covariance.iter_mut().zip(&off) {
            row.iter_mut().zip(&off).for_each(|(c, b)| *c += *n as f64 * a * b * scale);
        }
    }
    (mean, covariance)
}

fn standard_errors(covariance: &[Vec<f64>]) -> Vec<f64> {
    covariance.iter().enumerate().map(|(i, row)| row[i].max(0.0).sqrt()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use qdllm_runtime::Scratch;

    #[test]
    fn a_sample_worked_by_hand() {
        let samples = [(vec![1.0, 0.0], 2), (vec![-1.0, 3.0], 1)];
        let (mean, covariance) = moments(&samples);
        let near = |a: f64, b: f64| assert!((a - b).abs() < 1e-15, "{a} and {b}");
        near(mean[0], 1.0 / 3.0);
        near(mean[1], 1.0);
        // Sample variances 4/3 and 3, covariance -2, each over three shots.
        near(covariance[0][0], 4.0 / 9.0);
        near(covariance[1][1], 1.0);
        near(covariance[0][1], -2.0 / 3.0);
        near(standard_errors(&covariance)[0], 2.0 / 3.0);
    }

    #[test]
    fn it_is_the_models_own_head() {
        let model = Model::parse(include_bytes!("../../../tests/vectors/words_v1.qdm")).unwrap();
        let head = LinearHead::of(&model).unwrap();
        assert_eq!((head.labels.len(), head.outputs()), (model.classes(), 11));
        let mut scratch = Scratch::new();
        for text in ["turn on the light", "play music", ""] {
            let prediction = model.classify(text, &mut scratch).unwrap();
            let expectations: Vec<f64> =
                prediction.expectations().iter().map(|&e| f64::from(e)).collect();
            let ours = head.probabilities(&head.logits(&expectations));
            for (p, &q) in ours.iter().zip(prediction.probabilities()) {
                assert!((p - f64::from(q)).abs() < 1e-5, "{text}: {p} and {q}");
            }
        }
    }
}

//! From measured counts to a decision: expectations, logits, class, and what the shots leave uncertain.
//!
//! Every shot of a circuit gives one value of each read-out word, hence one logit a class; their mean
//! and sample covariance over the shots are the estimate and its statistical error, whatever the
//! words have in common. The circuits of a mixture add up with their weights.
//!
//! Known read-out errors are undone here. Where a bit is misread independently of the others, the outcome's
//! sign `m` has mean `offset + scale * z` for a qubit whose true sign is `z`. So `(m - offset) / scale` is right on the
//! average, and over several bits the product is: the inverse of the tensored confusion matrix, on
//! one word. It removes the bias of the read-out and pays with a larger variance; a value is no
//! longer within -1..=1.
//!
//! Only [`Counts`] knows the order of a bit string: its rightmost character is classical bit 0.

use anyhow::{Context as _, Result, ensure};
use qdllm_runtime::format::Kind;
use qdllm_runtime::format::floats::Floats;
use qdllm_runtime::{Error as ModelError, Model};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One output as a compiled circuit gives it: the parity of classical bits, negated or not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Readout {
    /// Classical bits whose parity it is; none: it is constant.
    pub bits: Vec<u8>,
    /// Whether the outcome is inverted (the expectation's sign changed).
    pub negated: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct BitError {
    pub one_from_zero: f64,
    pub zero_from_one: f64,
}

/// The least share of the signal that a read-out may leave: under it, undoing it makes only noise.
pub const LEAST_SCALE: f64 = 0.1;

impl BitError {
    /// The mean sign of the outcome is `offset + scale * z`.
    pub fn offset(&self) -> f64 {
        self.zero_from_one - self.one_from_zero
    }

    pub fn scale(&self) -> f64 {
        1.0 - self.one_from_zero - self.zero_from_one
    }

    /// Whether both are probabilities and together leave enough signal to be undone.
    pub fn can_be_undone(&self) -> bool {
        let probability = |p: f64| (0.0..=1.0).contains(&p);
        probability(self.one_from_zero)
            && probability(self.zero_from_one)
            && self.scale() >= LEAST_SCALE
    }
}

/// The value of a read-out word in one outcome (bit `i` is classical bit `i`): +1 or -1, or with
/// `errors` (one a classical bit) the unbiased value of what was there before the read-out.
pub fn word_value(readout: &Readout, outcome: u64, errors: Option<&[BitError]>) -> f64 {
    let sign = |bit: u8| if outcome >> bit & 1 == 1 { -1.0 } else { 1.0 };
    let value = |bit: u8| match errors.and_then(|all| all.get(bit as usize)) {
        Some(e) => (sign(bit) - e.offset()) / e.scale(),
        None => sign(bit),
    };
    let product: f64 = readout.bits.iter().map(|&bit| value(bit)).product();
    if readout.negated { -product } else { product }
}

/// Most classical bits of a circuit whose counts are understood.
pub const MAX_BITS: usize = 64;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub bits: usize,
    pub shots: u64,
    outcomes: BTreeMap<u64, u64>,
}

impl Counts {
    /// Counts of outcomes whose bit `i` is classical bit `i`; bits from `bits` on are dropped.
    pub fn new(outcomes: impl IntoIterator<Item = (u64, u64)>, bits: usize) -> Result<Self> {
        ensure!(bits <= MAX_BITS, "{bits} classical bits; at most {MAX_BITS} are understood");
        let mask = if bits == MAX_BITS { u64::MAX } else { (1 << bits) - 1 };
        let mut all = Self { bits, ..Self::default() };
        for (outcome, count) in outcomes.into_iter().filter(|&(_, count)| count > 0) {
            all.shots =
                all.shots.checked_add(count).context("the counts add up to more than 2^64")?;
            *all.outcomes.entry(outcome & mask).or_default() += count;
        }
        Ok(all)
    }

    /// Counts as a service gives them, for a circuit of `bits` classical bits.
    pub fn from_strings(strings: &BTreeMap<String, u64>, bits: usize) -> Result<Self> {
        for key in strings.keys() {
            ensure!(
                key.bytes().all(|b| matches!(b, b'0' | b'1')),
                "bit string `{key}` holds something else than 0 and 1"
            );
            let found = key.len();
            ensure!(
                found == bits,
                "bit string `{key}` has {found} characters; the circuit has {bits} classical bits"
            );
        }
        // The leftmost character is the highest bit.
        let outcome = |key: &String| key.bytes().fold(0, |x, b| x << 1 | u64::from(b == b'1'));
        Self::new(strings.iter().map(|(key, &n)| (outcome(key), n)), bits)
    }

    /// As a service gives them.
    pub fn strings(&self) -> BTreeMap<String, u64> {
        self.iter().map(|(x, n)| (key(self.bits, |i| x >> i & 1 == 1), n)).collect()
    }

    /// Each outcome (bit `i` is classical bit `i`) with its count, in ascending order.
    pub fn iter(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.outcomes.iter().map(|(&x, &n)| (x, n))
    }
}

/// The bit string of an outcome given bit by bit, for a classical register of any width.
pub fn key(bits: usize, bit: impl Fn(usize) -> bool) -> String {
    (0..bits).rev().map(|i| if bit(i) { '1' } else { '0' }).collect()
}

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
#[derive(Clone, Debug)]
pub struct Part<'a> {
    /// How much its outputs count; the weights of all parts sum to 1.
    pub weight: f64,
    pub readouts: &'a [Readout],
    pub counts: Counts,
    /// Errors of each classical bit that are to be undone; `None`: counts are taken as they are.
    pub errors: Option<Vec<BitError>>,
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
    ensure!(logits.iter().all(|l| l.is_finite()), "{}", ModelError::LogitNotFinite);
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
        let words =
            |x| part.readouts.iter().map(|r| word_value(r, x, part.errors.as_deref())).collect();
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
    let bits = part.counts.bits;
    for &bit in part.readouts.iter().flat_map(|r| &r.bits) {
        ensure!(
            usize::from(bit) < bits,
            "circuit {number} reads c[{bit}]; its counts have {bits} bits"
        );
        let undone =
            |all: &Vec<BitError>| all.get(bit as usize).is_some_and(BitError::can_be_undone);
        ensure!(
            part.errors.as_ref().is_none_or(undone),
            "circuit {number}: the read-out errors of c[{bit}] are unknown or too large to be undone"
        );
    }
    let shots = part.counts.shots;
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
    fn undone_errors_leave_the_true_mean_of_every_word() {
        let errors = [
            BitError { one_from_zero: 0.02, zero_from_one: 0.09 },
            BitError { one_from_zero: 0.05, zero_from_one: 0.01 },
            BitError::default(),
        ];
        let truth: Vec<f64> = (0..8).map(|x| f64::from(x * x + 1) / 148.0).collect();
        let misread = |from: usize, to: usize| -> f64 {
            let one = |bit: usize| match (from >> bit & 1, to >> bit & 1) {
                (0, 1) => errors[bit].one_from_zero,
                (0, _) => 1.0 - errors[bit].one_from_zero,
                (_, 0) => errors[bit].zero_from_one,
                _ => 1.0 - errors[bit].zero_from_one,
            };
            (0..3).map(one).product()
        };
        let seen = |to: usize| -> f64 { (0..8).map(|from| truth[from] * misread(from, to)).sum() };
        for mask in 0..8_u8 {
            let bits = (0..3).filter(|b| mask >> b & 1 == 1).collect();
            let readout = Readout { bits, negated: mask == 5 };
            let exact: f64 = (0..8).map(|x| truth[x] * word_value(&readout, x as u64, None)).sum();
            let undone: f64 =
                (0..8).map(|x| seen(x) * word_value(&readout, x as u64, Some(&errors))).sum();
            assert!((exact - undone).abs() < 1e-14, "word {mask:b}: {exact} and {undone}");
        }
    }

    #[test]
    fn a_read_out_without_signal_cannot_be_undone() {
        let e = |a, b| BitError { one_from_zero: a, zero_from_one: b };
        assert!(e(0.05, 0.1).can_be_undone());
        for bad in [e(0.5, 0.5), e(0.9, 0.9), e(-0.1, 0.0), e(f64::NAN, 0.0)] {
            assert!(!bad.can_be_undone(), "{bad:?}");
        }
    }

    fn strings(all: &[(&str, u64)]) -> BTreeMap<String, u64> {
        all.iter().map(|&(k, n)| (k.to_owned(), n)).collect()
    }

    #[test]
    fn the_rightmost_character_is_bit_zero() {
        let given = strings(&[("001", 5), ("100", 2), ("110", 1)]);
        let counts = Counts::from_strings(&given, 3).unwrap();
        assert_eq!(counts.iter().collect::<Vec<_>>(), [(0b001, 5), (0b100, 2), (0b110, 1)]);
        assert_eq!((counts.shots, counts.bits), (8, 3));
        assert_eq!(key(5, |i| i == 1), "00010");
    }

    #[test]
    fn strings_of_another_circuit_are_refused_by_name() {
        let refused =
            |all: &[(&str, u64)]| Counts::from_strings(&strings(all), 3).unwrap_err().to_string();
        assert!(refused(&[("000", 1), ("0000", 1)]).contains("`0000` has 4 characters"));
        assert!(refused(&[("0x1", 1)]).contains("`0x1`"));
        assert!(refused(&[("0 1", 1)]).contains("else than 0 and 1"));
        assert!(refused(&[("", 1)]).contains("has 0 characters"));
        assert!(refused(&[("000", u64::MAX), ("001", 1)]).contains("2^64"));
        assert!(Counts::from_strings(&strings(&[]), 65).is_err());
    }

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
        let model = Model::parse(include_bytes!("../../tests/vectors/words_v1.qdm")).unwrap();
        let head = LinearHead::of(&model).unwrap();
        assert_eq!((head.labels.len(), head.outputs()), (model.classes(), 11));
        let mut scratch = Scratch::new();
        for text in ["turn on the light", "play music", "timer"] {
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

//! Expectations to logits, calibrated probabilities and a decision.

use crate::error::Error;
use crate::format::floats::{Floats, is_finite, is_positive, is_share};
use crate::integer::shifted;
use crate::integer::to_fixed;
use crate::math::exp;
use crate::reject::{Evidence, Found};

/// How often what a weight is worth is halved at most.
#[cfg(feature = "compact")]
pub const MAX_HALVINGS: u8 = 24;

/// Weights and biases of the final affine layer, borrowed from a model file.
#[derive(Clone, Copy, Debug)]
pub struct Weights<'a> {
    classes: usize,
    outputs: usize,
    numbers: Numbers<'a>,
}

#[derive(Clone, Copy, Debug)]
enum Numbers<'a> {
    /// `classes x outputs` weights, then `classes` biases.
    Floats(Floats<'a>),
    /// The same in signed bytes and `i16`, each with what 1 is worth; that of a weight is halved so often by its output.
    #[cfg(feature = "compact")]
    Small { worth: Floats<'a>, halvings: &'a [u8], weights: &'a [u8], biases: &'a [[u8; 2]] },
}

impl<'a> Weights<'a> {
    /// Of `f32`: `classes x outputs` weights, class by class, then `classes` biases.
    ///
    /// # Errors
    /// [`Error::BadHead`] or [`Error::NotFinite`].
    pub fn floats(table: &'a [u8], classes: usize, outputs: usize) -> Result<Self, Error> {
        let numbers = Floats::parse(table, classes * (outputs + 1), Error::BadHead)?;
        Ok(Self { classes, outputs, numbers: Numbers::Floats(numbers) })
    }

    /// Of integers: what a weight's 1 and a bias's 1 are worth (`f32`), by output how often the first of them is halved,
    /// `classes x outputs` signed bytes, then `classes` `i16`.
    ///
    /// # Errors
    /// As [`floats`](Self::floats).
    #[cfg(feature = "compact")]
    pub fn small(section: &'a [u8], classes: usize, outputs: usize) -> Result<Self, Error> {
        let (worth, rest) = section.split_at_checked(8).ok_or(Error::BadHead)?;
        let worth = Floats::parse(worth, 2, Error::BadHead)?;
        let (halvings, rest) = rest.split_at_checked(outputs).ok_or(Error::BadHead)?;
        let (weights, rest) = rest.split_at_checked(classes * outputs).ok_or(Error::BadHead)?;
        let (biases, []) = rest.as_chunks() else { return Err(Error::BadHead) };
        if biases.len() != classes || halvings.iter().any(|&n| n > MAX_HALVINGS) {
            return Err(Error::BadHead);
        }
        Ok(Self { classes, outputs, numbers: Numbers::Small { worth, halvings, weights, biases } })
    }

    /// The weight of an expectation in a class's logit.
    pub fn weight(&self, class: usize, output: usize) -> f32 {
        let at = class * self.outputs + output;
        match self.numbers {
            Numbers::Floats(table) => table.get(at),
            #[cfg(feature = "compact")]
            Numbers::Small { worth, halvings, weights, .. } => {
                // A power of two by its bits.
                let halvings = halvings.get(output).map_or(0, |&n| u32::from(n));
                let worth = worth.get(0) * f32::from_bits((127 - halvings) << 23);
                worth * f32::from(weights.get(at).map_or(0, |&w| w as i8))
            }
        }
    }

    /// What a class's logit is where all expectations are 0.
    pub fn bias(&self, class: usize) -> f32 {
        match self.numbers {
            Numbers::Floats(table) => table.get(self.classes * self.outputs + class),
            #[cfg(feature = "compact")]
            Numbers::Small { worth, biases, .. } => {
                worth.get(1) * f32::from(biases.get(class).map_or(0, |&b| i16::from_le_bytes(b)))
            }
        }
    }
}

/// The final affine layer and its temperature, borrowed from a model file.
#[derive(Clone, Copy, Debug)]
pub struct Head<'a> {
    weights: Weights<'a>,
    temperature: f32,
    reject_below: f32,
}

impl<'a> Head<'a> {
    /// Joins weights, temperature and threshold.
    ///
    /// # Errors
    /// [`Error::BadMeta`] for a temperature that is not positive or a threshold outside 0..=1.
    pub fn new(weights: Weights<'a>, temperature: f32, reject_below: f32) -> Result<Self, Error> {
        if is_positive(temperature) && is_share(reject_below) {
            Ok(Self { weights, temperature, reject_below })
        } else {
            Err(Error::BadMeta)
        }
    }

    /// Temperature that divides the logits before the softmax.
    pub fn temperature(&self) -> f32 {
        self.temperature
    }

    /// The probability under which a decision is rejected.
    pub fn reject_below(&self) -> f32 {
        self.reject_below
    }

    /// The weight of an expectation in a class's logit; 0 where there is none such.
    pub fn weight(&self, class: usize, output: usize) -> f32 {
        if class < self.weights.classes && output < self.weights.outputs {
            self.weights.weight(class, output)
        } else {
            0.0
        }
    }

    /// What a class's logit is where all expectations are 0.
    pub fn bias(&self, class: usize) -> f32 {
        self.weights.bias(class)
    }

    fn row(&self, class: usize) -> impl Iterator<Item = f32> + '_ {
        (0..self.weights.outputs).map(move |output| self.weights.weight(class, output))
    }

    /// Writes one logit a class into the front of `logits`.
    pub fn logits(&self, expectations: &[f32], logits: &mut [f32]) {
        for (class, logit) in logits.iter_mut().enumerate().take(self.weights.classes) {
            let products = self.row(class).zip(expectations).map(|(weight, e)| weight * e);
            *logit = products.fold(self.bias(class), |sum, product| sum + product);
        }
    }

    /// Writes one logit a class in Q16 into the front of `logits_q16`, from expectations in Q30.
    pub fn logits_q16(&self, expectations_q30: &[i32], logits_q16: &mut [i32]) {
        for (class, logit) in logits_q16.iter_mut().enumerate().take(self.weights.classes) {
            // At most 17 products of 2^61: one bit fewer each, and the sum fits.
            let products = self.row(class).zip(expectations_q30);
            let sum = products.fold(0, |sum, (weight, e)| {
                sum + ((i64::from(to_fixed(weight, 16)) * i64::from(*e)) >> 5)
            });
            *logit = shifted(sum, -25).saturating_add(to_fixed(self.bias(class), 16));
        }
    }

    /// Turns logits into probabilities in place: softmax of `logit / temperature`.
    ///
    /// # Errors
    /// [`Error::LogitNotFinite`].
    pub fn softmax(&self, logits: &mut [f32]) -> Result<(), Error> {
        if !logits.iter().all(|&x| is_finite(x)) {
            return Err(Error::LogitNotFinite);
        }
        let highest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let mut sum = 0.0;
        for x in logits.iter_mut() {
            *x = exp((*x - highest) / self.temperature);
            sum += *x;
        }
        // At least one term is exp(0) = 1, so the sum is never zero.
        logits.iter_mut().for_each(|x| *x /= sum);
        Ok(())
    }
}

/// The result of a classification; borrows the probabilities from the scratch memory.
#[derive(Clone, Copy, Debug)]
pub struct Prediction<'s> {
    pub(crate) probabilities: &'s [f32],
    pub(crate) expectations: &'s [f32],
    pub(crate) reject_below: f32,
    pub(crate) found: Found,
    pub(crate) evidence: Evidence,
    pub(crate) foreign: bool,
}

impl<'s> Prediction<'s> {
    /// The most probable class; of equals the first.
    pub fn class(&self) -> usize {
        self.top(1).next().map_or(0, |(class, _)| class)
    }

    /// The probability of [`class`](Self::class).
    pub fn probability(&self) -> f32 {
        self.top(1).next().map_or(0.0, |(_, p)| p)
    }

    /// One calibrated probability a class; they sum to 1.
    pub fn probabilities(&self) -> &'s [f32] {
        self.probabilities
    }

    /// What the circuit was read to give, each in -1..=1.
    pub fn expectations(&self) -> &'s [f32] {
        self.expectations
    }

    /// The `k` most probable classes in descending order, as (class, probability); equals by class.
    pub fn top(&self, k: usize) -> impl Iterator<Item = (usize, f32)> + use<'s> {
        let (probabilities, mut last) = (self.probabilities, None::<(usize, u32)>);
        // Selection by repeated passes: no memory, and classes are few.
        let next = move || {
            // Probabilities are not negative, so their bits have their order: no comparison of floats.
            let after = |class, p| {
                last.is_none_or(|(last, bound)| p < bound || (p == bound && class > last))
            };
            let mut best: Option<(usize, u32)> = None;
            for (class, p) in probabilities.iter().map(|p| p.to_bits()).enumerate() {
                if after(class, p) && best.is_none_or(|(_, b)| p > b) {
                    best = Some((class, p));
                }
            }
            last = best;
            best.map(|(class, bits)| (class, f32::from_bits(bits)))
        };
        core::iter::from_fn(next).take(k)
    }

    /// Whether nothing of the text is known, the model's rule takes it for a foreign one, or the probability is not at least
    /// the model's threshold: better not to act on it.
    pub fn is_rejected(&self) -> bool {
        // Neither is negative, so their bits have their order; those of what is no number are the greatest.
        let (p, least) = (self.probability().to_bits(), self.reject_below.to_bits());
        self.found.known == 0 || self.foreign || !(least..=1.0_f32.to_bits()).contains(&p)
    }

    /// N-grams of the text that the vocabulary knew, or numbers of the vector; 0 means that the answer is
    /// the classes' shares of the training data.
    pub fn found(&self) -> u32 {
        self.found.known
    }

    /// What the model's rule of rejection looked at; zeros where it has none.
    pub fn evidence(&self) -> &Evidence {
        &self.evidence
    }
}

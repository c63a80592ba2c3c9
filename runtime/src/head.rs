//! Expectations to logits, calibrated probabilities and a decision.

use crate::error::Error;
use crate::format::floats::{Floats, is_finite, is_positive, is_share};
use crate::integer::shifted;
use crate::integer::to_fixed;
use crate::math::exp;

/// The final affine layer and its temperature, borrowed from a model file.
#[derive(Clone, Copy, Debug)]
pub struct Head<'a> {
    classes: usize,
    outputs: usize,
    /// `classes x outputs` weights, then `classes` biases.
    table: Floats<'a>,
    temperature: f32,
    reject_below: f32,
}

impl<'a> Head<'a> {
    /// Checks the table's size.
    ///
    /// # Errors
    /// [`Error::BadHead`] or [`Error::NotFinite`]; [`Error::BadMeta`] for a temperature that is not
    /// positive or a threshold outside 0..=1.
    pub fn parse(
        classes: usize,
        outputs: usize,
        table: &'a [u8],
        temperature: f32,
        reject_below: f32,
    ) -> Result<Self, Error> {
        if !(is_positive(temperature) && is_share(reject_below)) {
            return Err(Error::BadMeta);
        }
        let table = Floats::parse(table, classes * (outputs + 1), Error::BadHead)?;
        Ok(Self { classes, outputs, table, temperature, reject_below })
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
        if class < self.classes && output < self.outputs {
            self.table.get(class * self.outputs + output)
        } else {
            0.0
        }
    }

    /// What a class's logit is where all expectations are 0.
    pub fn bias(&self, class: usize) -> f32 {
        self.table.get(self.classes * self.outputs + class)
    }

    fn row(&self, class: usize) -> impl Iterator<Item = f32> + '_ {
        (0..self.outputs).map(move |output| self.table.get(class * self.outputs + output))
    }

    /// Writes one logit a class into the front of `logits`.
    pub fn logits(&self, expectations: &[f32], logits: &mut [f32]) {
        for (class, logit) in logits.iter_mut().enumerate().take(self.classes) {
            let products = self.row(class).zip(expectations).map(|(weight, e)| weight * e);
            *logit = products.fold(self.bias(class), |sum, product| sum + product);
        }
    }

    /// Writes one logit a class in Q16 into the front of `logits_q16`, from expectations in Q30.
    pub fn logits_q16(&self, expectations_q30: &[i32], logits_q16: &mut [i32]) {
        for (class, logit) in logits_q16.iter_mut().enumerate().take(self.classes) {
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
    pub(crate) found: u32,
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

    /// Whether nothing of the text is known, or the probability is not at least the model's threshold:
    /// better not to act on it.
    pub fn is_rejected(&self) -> bool {
        // Neither is negative, so their bits have their order; those of what is no number are the greatest.
        let (p, least) = (self.probability().to_bits(), self.reject_below.to_bits());
        self.found == 0 || !(least..=1.0_f32.to_bits()).contains(&p)
    }

    /// N-grams of the text that the vocabulary knew, or numbers of the vector; 0 means that the answer is
    /// the classes' shares of the training data.
    pub fn found(&self) -> u32 {
        self.found
    }
}

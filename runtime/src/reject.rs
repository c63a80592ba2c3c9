//! Whether a text is of the model's world at all: a logistic rule over what classification leaves behind anyway.
//!
//! Everything is in Q16 integers, so every back end of integers rejects alike.

use crate::error::Error;
use crate::format::floats::Floats;
use crate::integer::{saturate, to_fixed};

/// What a rule looks at.
pub const EVIDENCE: usize = 5;

/// Numbers that a rule weighs, in Q16.
pub type Evidence = [i32; EVIDENCE];

/// How many n-grams of a text were known, and how many it has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Known to the model.
    pub known: u32,
    /// Of so many.
    pub total: u32,
}

/// A rule, borrowed from a model file: weights of the evidence, a bias, and what was measured of it.
#[derive(Clone, Copy, Debug)]
pub struct Rejection<'a>(Floats<'a>);

impl<'a> Rejection<'a> {
    /// Of 5 weights, a bias, the share of right answers that it gave up and the share of foreign texts that it recalled,
    /// each an `f32`.
    ///
    /// # Errors
    /// [`Error::BadMeta`] or [`Error::NotFinite`].
    pub fn parse(section: &'a [u8]) -> Result<Self, Error> {
        Floats::parse(section, EVIDENCE + 3, Error::BadMeta).map(Self)
    }

    /// The share of right answers to held-out texts that it gave up.
    pub fn given_up(&self) -> f32 {
        self.0.get(EVIDENCE + 1)
    }

    /// The share of foreign texts, held out as well, that it rejected.
    pub fn recall(&self) -> f32 {
        self.0.get(EVIDENCE + 2)
    }

    /// Whether the weighed evidence says that a text is foreign.
    pub(crate) fn rejects(&self, evidence: &Evidence) -> bool {
        let products = evidence.iter().enumerate();
        let sum = products.fold(i64::from(to_fixed(self.0.get(EVIDENCE), 16)), |sum, (i, &x)| {
            sum + ((i64::from(to_fixed(self.0.get(i), 16)) * i64::from(x)) >> 16)
        });
        sum < 0
    }
}

/// The evidence of one text: the lead of the first logit over the second, its height over their mean, the share of known
/// n-grams, how many are known up to 16 (in sixteenths), and room for the probability; logits in Q16.
pub(crate) fn evidence(logits_q16: impl Iterator<Item = i32>, found: Found) -> Evidence {
    let (mut first, mut second) = (i64::from(i32::MIN), i64::from(i32::MIN));
    let (mut sum, mut count) = (0_i64, 0_i64);
    for logit in logits_q16.map(i64::from) {
        (sum, count) = (sum + logit, count + 1);
        if logit > first {
            (first, second) = (logit, first);
        } else if logit > second {
            second = logit;
        }
    }
    let Found { known, total } = found;
    // A share in 32 bits: a chip's division of 64 is slow.
    let share = known.min(0xffff) << 16;
    [
        saturate(first - second),
        saturate(first - sum / count.max(1)),
        (share / total.clamp(1, 0xffff)).min(1 << 16) as i32,
        (known.min(16) << 12) as i32,
        0,
    ]
}

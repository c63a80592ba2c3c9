//! From measured counts to a decision: expectations, logits, class, and what the shots leave uncertain.
//!
//! Every shot of a circuit gives one value of each read-out word, hence one logit a class; their mean
//! and sample covariance over the shots are the estimate and its statistical error, whatever the
//! words have in common. The circuits of a mixture add up with their weights.
//!
//! [`counts`] holds what was measured and knows the order of the bits, [`decision`] takes the model's last
//! layer to the expectations. Known read-out errors are undone here.
//!
//! Where a bit is misread independently of the others, the outcome's sign `m` has mean
//! `offset + scale * z` for a qubit whose true sign is `z`. So `(m - offset) / scale` is right on the
//! average, and over several bits the product is: the inverse of the tensored confusion matrix, on
//! one word. It removes the bias of the read-out and pays with a larger variance; a value is no
//! longer within -1..=1.

pub mod counts;
pub mod decision;

pub use counts::Counts;
pub(crate) use decision::not_undone;
pub use decision::{Answer, Estimate, LinearHead, Part, answer, expectations};

use serde::{Deserialize, Serialize};

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

#[cfg(test)]
mod tests {
    use super::*;

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
}

//! Angles that are affine in a circuit's parameters.

use crate::math::round;
use alloc::vec::Vec;

/// An angle that is affine in the parameters: `constant + sum coefficient * parameter`, radians.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Affine {
    /// The part without parameters.
    pub constant: f64,
    /// (parameter, coefficient), each parameter once.
    pub terms: Vec<(u16, f64)>,
}

impl Affine {
    /// The value for given parameters; those beyond the slice count as zero.
    pub fn value(&self, parameters: &[f64]) -> f64 {
        self.terms.iter().fold(self.constant, |sum, &(p, c)| {
            sum + c * parameters.get(p as usize).copied().unwrap_or(0.0)
        })
    }

    /// A number.
    pub const fn constant(constant: f64) -> Self {
        Self { constant, terms: Vec::new() }
    }

    /// One parameter.
    pub fn parameter(parameter: u16) -> Self {
        Self { constant: 0.0, terms: Vec::from([(parameter, 1.0)]) }
    }

    /// This angle times a number; times zero it has no parameters.
    #[must_use]
    pub fn scaled(mut self, by: f64) -> Self {
        self.constant *= by;
        for (_, c) in &mut self.terms {
            *c *= by;
        }
        self.terms.retain(|&(_, c)| c != 0.0);
        self
    }

    /// Adds another angle; parameters that cancel are gone.
    pub fn add(&mut self, other: Self) {
        self.constant += other.constant;
        for (p, c) in other.terms {
            match self.terms.iter_mut().find(|(q, _)| *q == p) {
                Some((_, sum)) => *sum += c,
                None => self.terms.push((p, c)),
            }
        }
        self.terms.retain(|&(_, c)| c != 0.0);
    }

    /// The sum with another angle.
    #[must_use]
    pub fn plus(mut self, other: &Self) -> Self {
        self.add(other.clone());
        self
    }

    /// Whether it is, for all parameters, a whole multiple of `unit` (to 1e-12 radians).
    pub fn is_multiple_of(&self, unit: f64) -> bool {
        let turns = self.constant / unit;
        self.terms.is_empty() && (turns - round(turns)).abs() * unit < 1e-12
    }

    /// The same angle where parameter `i` is itself the angle `angles[i]`; those beyond the slice
    /// count as zero.
    #[must_use]
    pub fn substituted(&self, angles: &[Self]) -> Self {
        let mut sum = Self::constant(self.constant);
        for &(p, c) in &self.terms {
            if let Some(angle) = angles.get(p as usize) {
                sum.add(angle.clone().scaled(c));
            }
        }
        sum
    }
}

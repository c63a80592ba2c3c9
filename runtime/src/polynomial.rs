//! The polynomial back end: logits as sums of the trained circuit's largest monomials in the cosines
//! and sines of the encoder angles.
//!
//! Every logit of an encoder-then-ansatz circuit is multilinear in (1, cos, sin) of each angle, so a
//! truncated sum of products is the circuit itself less its small terms. The section that holds it is
//! optional: a reader without this back end runs the statevector.
//!
//! Layout: postcard [`Measured`], a postcard `u16` count, then for each monomial two little-endian
//! `u16` masks (qubits that give a cosine, qubits that give a sine) and one `f32` a class.

use crate::circuit::QUBITS;
use crate::error::Error;
use crate::math::Value;
use postcard::take_from_bytes;
use serde::{Deserialize, Serialize};

/// Monomials that a model may carry.
pub const MAX_MONOMIALS: usize = 4096;

/// What the compiler measured and states in the file.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// The share of equal decisions that was asked for.
    pub asked: f32,
    /// The share of texts decided as the statevector decides, on texts not used to choose monomials.
    pub agreement: f32,
    /// How many texts that were.
    pub texts: u32,
    /// The largest difference of a logit (less the mean over classes) on them.
    pub largest_logit_error: f32,
    /// Multiplications and multiply-adds of one evaluation, sine and cosine not counted.
    pub multiply_adds: u32,
}

/// A validated polynomial, borrowed from a model file.
#[derive(Clone, Copy, Debug)]
pub struct Polynomial<'a> {
    measured: Measured,
    qubits: usize,
    classes: usize,
    table: &'a [u8],
}

/// One monomial.
#[derive(Clone, Copy, Debug)]
pub struct Monomial<'a> {
    /// Qubits whose angle's cosine is a factor.
    pub cosines: u16,
    /// Qubits whose angle's sine is a factor.
    pub sines: u16,
    weights: &'a [u8],
}

impl Monomial<'_> {
    /// What the monomial counts in each class's logit.
    pub fn weights(&self) -> impl Iterator<Item = f32> + '_ {
        self.weights.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b))
    }
}

impl<'a> Polynomial<'a> {
    /// Checks a section against the model's classes and the circuit's qubits.
    ///
    /// # Errors
    /// [`Error::BadBackEnd`] or [`Error::NotFinite`].
    pub fn parse(section: &'a [u8], classes: usize, qubits: usize) -> Result<Self, Error> {
        let ((measured, count), table) =
            take_from_bytes::<(Measured, u16)>(section).map_err(|_| Error::BadBackEnd)?;
        let size = (4 + 4 * classes) * count as usize;
        let share = |x: f32| x > 0.0 && x <= 1.0;
        if count as usize > MAX_MONOMIALS
            || table.len() != size
            || qubits > QUBITS
            || !share(measured.asked)
            || !(0.0..=1.0).contains(&measured.agreement)
            || !measured.largest_logit_error.is_finite()
        {
            return Err(Error::BadBackEnd);
        }
        let polynomial = Self { measured, qubits, classes, table };
        for monomial in polynomial.monomials() {
            if monomial.cosines & monomial.sines != 0
                || (monomial.cosines | monomial.sines) >> qubits != 0
            {
                return Err(Error::BadBackEnd);
            }
            if !monomial.weights().all(f32::is_finite) {
                return Err(Error::NotFinite);
            }
        }
        Ok(polynomial)
    }

    /// What the compiler measured.
    pub fn measured(&self) -> &Measured {
        &self.measured
    }

    /// The monomials in the order of the file.
    pub fn monomials(&self) -> impl Iterator<Item = Monomial<'a>> + use<'a> {
        self.table.chunks_exact(4 + 4 * self.classes).filter_map(|record| match record {
            &[a, b, c, d, ref weights @ ..] => Some(Monomial {
                cosines: u16::from_le_bytes([a, b]),
                sines: u16::from_le_bytes([c, d]),
                weights,
            }),
            _ => None,
        })
    }

    /// Logits at encoder angles (radians, one a qubit) into the front of `logits`.
    pub fn logits(&self, angles_rad: &[f32], logits: &mut [f32]) {
        let (mut cosines, mut sines) = ([1.0_f32; 16], [0.0_f32; 16]);
        let circles = cosines.iter_mut().zip(&mut sines).zip(angles_rad).take(self.qubits);
        for ((cos, sin), &angle) in circles {
            (*sin, *cos) = Value::sin_cos(angle);
        }
        logits.iter_mut().for_each(|x| *x = 0.0);
        for monomial in self.monomials() {
            let value = product(monomial.cosines, &cosines) * product(monomial.sines, &sines);
            for (logit, weight) in logits.iter_mut().zip(monomial.weights()) {
                *logit += weight * value;
            }
        }
    }
}

/// The product of the values at the set bits.
fn product(mask: u16, values: &[f32; 16]) -> f32 {
    let (mut left, mut value) = (mask, 1.0);
    while left != 0 {
        // The bit's number is at most 15: no index is ever out of range.
        value *= values[left.trailing_zeros() as usize & 15];
        left &= left - 1;
    }
    value
}

/// A section of `monomials` (cosines, sines, one weight a class).
///
/// # Errors
/// [`Error::BadBackEnd`] where there are more than [`MAX_MONOMIALS`].
#[cfg(feature = "alloc")]
pub fn section(
    measured: &Measured,
    monomials: &[(u16, u16, alloc::vec::Vec<f32>)],
) -> Result<alloc::vec::Vec<u8>, Error> {
    if monomials.len() > MAX_MONOMIALS {
        return Err(Error::BadBackEnd);
    }
    let count = monomials.len() as u16;
    let mut bytes = postcard::to_allocvec(&(measured, count)).map_err(|_| Error::BadBackEnd)?;
    for (cosines, sines, weights) in monomials {
        bytes.extend_from_slice(&cosines.to_le_bytes());
        bytes.extend_from_slice(&sines.to_le_bytes());
        weights.iter().for_each(|w| bytes.extend_from_slice(&w.to_le_bytes()));
    }
    Ok(bytes)
}

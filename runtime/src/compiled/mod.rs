//! Back ends that a host compiles from the trained circuit: no statevector is needed to run them.

#[cfg(feature = "polynomial")]
pub mod polynomial;
#[cfg(feature = "tensor-train")]
pub mod tensor_train;

use crate::error::Error;
use crate::format::floats::{is_finite, is_positive, is_share};
use postcard::take_from_bytes;
use serde::{Deserialize, Serialize};

/// What the compiler measured of a back end and states in the file that carries it: how it compares
/// with the statevector, and what it costs.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// The share of equal decisions that was asked for, above 0 and at most 1.
    pub asked: f32,
    /// The share of texts decided as the statevector decides, on texts not used to choose the back end.
    pub agreement: f32,
    /// How many texts that were.
    pub texts: u32,
    /// The largest difference of a logit (less the mean over classes) on them.
    pub largest_logit_error: f32,
    /// Multiplications and multiply-adds of one evaluation, sine and cosine not counted.
    pub multiply_adds: u32,
    /// Bytes written beside the stack, the probabilities included.
    pub ram_bytes: u32,
}

impl Measured {
    /// Reads it from the front of a section; gives what follows too.
    ///
    /// # Errors
    /// [`Error::BadBackEnd`] where it cannot be decoded or a share is none.
    pub fn take(section: &[u8]) -> Result<(Self, &[u8]), Error> {
        let (measured, rest) = take_from_bytes::<Self>(section).map_err(|_| Error::BadBackEnd)?;
        let sound = is_positive(measured.asked)
            && is_share(measured.asked)
            && is_share(measured.agreement)
            && is_finite(measured.largest_logit_error)
            && !measured.largest_logit_error.is_sign_negative();
        if sound { Ok((measured, rest)) } else { Err(Error::BadBackEnd) }
    }

    /// What follows it in a section: all that a device needs, in a few bytes of code.
    #[cfg(all(feature = "polynomial", not(feature = "alloc")))]
    pub(crate) fn skip(section: &[u8]) -> Result<&[u8], Error> {
        take_from_bytes::<Self>(section).map(|(_, rest)| rest).map_err(|_| Error::BadBackEnd)
    }

    /// Reads a section that holds nothing else.
    ///
    /// # Errors
    /// As [`take`](Self::take); [`Error::BadBackEnd`] too where bytes follow.
    pub fn parse(section: &[u8]) -> Result<Self, Error> {
        match Self::take(section)? {
            (measured, []) => Ok(measured),
            _ => Err(Error::BadBackEnd),
        }
    }

    /// Its bytes, as they stand at the front of a section.
    #[cfg(feature = "alloc")]
    pub fn bytes(&self) -> alloc::vec::Vec<u8> {
        // Six numbers always encode: there is no length, no map and no custom serializer.
        postcard::to_allocvec(self).unwrap_or_default()
    }
}

#[cfg(feature = "alloc")]
#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_was_measured_comes_back_or_is_refused(
            texts: u32, multiply_adds: u32, ram_bytes: u32, cut in 0usize..40,
        ) {
            let (asked, agreement, largest_logit_error) = (0.5, 0.25, 3.0);
            let measured =
                Measured { asked, agreement, texts, largest_logit_error, multiply_adds, ram_bytes };
            let mut bytes = measured.bytes();
            let whole = bytes.len();
            bytes.extend_from_slice(&[1, 2, 3]);
            bytes.truncate(cut);
            let expected = bytes.get(whole..).map(|rest| (measured, rest)).ok_or(Error::BadBackEnd);
            prop_assert_eq!(Measured::take(&bytes), expected);
            for wrong in [f32::NAN, f32::INFINITY, -1.0] {
                let bytes = Measured { asked: wrong, ..measured }.bytes();
                prop_assert_eq!(Measured::take(&bytes), Err(Error::BadBackEnd));
                let bytes = Measured { largest_logit_error: wrong, ..measured }.bytes();
                prop_assert_eq!(Measured::take(&bytes), Err(Error::BadBackEnd));
            }
        }
    }
}

//! What the compiler measured of a back end and states in the file that carries it.

use crate::error::Error;
use postcard::take_from_bytes;
use serde::{Deserialize, Serialize};

/// How a back end compares with the statevector, and what it costs.
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
        let sound = measured.asked > 0.0
            && measured.asked <= 1.0
            && (0.0..=1.0).contains(&measured.agreement)
            && (0.0..f32::INFINITY).contains(&measured.largest_logit_error);
        if sound { Ok((measured, rest)) } else { Err(Error::BadBackEnd) }
    }

    /// What follows it in a section: all that a device needs, in a few bytes of code.
    ///
    /// # Errors
    /// [`Error::BadBackEnd`] where the section ends within it.
    pub fn skip(section: &[u8]) -> Result<&[u8], Error> {
        let taken = take_from_bytes::<Self>(section);
        taken.map(|(_, rest)| rest).map_err(|_| Error::BadBackEnd)
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

#[cfg(all(test, feature = "alloc"))]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn skipping_is_reading(texts: u32, multiply_adds: u32, ram_bytes: u32, cut in 0usize..40) {
            let (asked, agreement, largest_logit_error) = (0.5, 0.25, 3.0);
            let measured =
                Measured { asked, agreement, texts, largest_logit_error, multiply_adds, ram_bytes };
            let mut bytes = measured.bytes();
            bytes.extend_from_slice(&[1, 2, 3]);
            bytes.truncate(cut);
            prop_assert_eq!(Measured::skip(&bytes), Measured::take(&bytes).map(|taken| taken.1));
        }
    }
}

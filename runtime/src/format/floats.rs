//! Tables of `f32` used where they lie in the file, and checks of `f32` by their bits: a chip without
//! floating point links no comparison for them.

use crate::error::Error;

/// Little-endian `f32` numbers, all finite.
#[derive(Clone, Copy, Debug)]
pub struct Floats<'a>(&'a [[u8; 4]]);

impl<'a> Floats<'a> {
    /// Checks that `bytes` holds exactly `count` finite numbers.
    ///
    /// # Errors
    /// `wrong_size` or [`Error::NotFinite`].
    pub fn parse(bytes: &'a [u8], count: usize, wrong_size: Error) -> Result<Self, Error> {
        let floats = Self::sized(bytes, count).ok_or(wrong_size)?;
        if floats.iter().all(is_finite) { Ok(floats) } else { Err(Error::NotFinite) }
    }

    /// Numbers that may be anything; none where `bytes` does not hold exactly `count`.
    pub(crate) fn sized(bytes: &'a [u8], count: usize) -> Option<Self> {
        match bytes.as_chunks() {
            (floats, []) if floats.len() == count => Some(Self(floats)),
            _ => None,
        }
    }

    /// Number `i`; 0 beyond the end, which checked sizes never reach.
    #[inline(never)]
    pub fn get(&self, i: usize) -> f32 {
        self.0.get(i).map_or(0.0, |bytes| f32::from_le_bytes(*bytes))
    }

    /// All numbers.
    pub fn iter(&self) -> impl Iterator<Item = f32> + use<'a> {
        self.0.iter().map(|bytes| f32::from_le_bytes(*bytes))
    }
}

const INFINITY: u32 = 0x7f80_0000;

pub(crate) const fn is_finite(x: f32) -> bool {
    x.to_bits() & !(1 << 31) < INFINITY
}

pub(crate) const fn is_positive(x: f32) -> bool {
    x.to_bits() != 0 && x.to_bits() < INFINITY
}

pub(crate) const fn is_share(x: f32) -> bool {
    x.to_bits() <= 1.0_f32.to_bits()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn bits_say_what_comparisons_say(bits: u32, small in -2.0f32..2.0) {
            for x in [f32::from_bits(bits), small, 0.0, 1.0, f32::INFINITY, f32::NAN] {
                prop_assert_eq!(is_finite(x), x.is_finite());
                prop_assert_eq!(is_positive(x), x > 0.0 && x.is_finite());
                prop_assert_eq!(is_share(x), (0.0..=1.0).contains(&x));
            }
        }
    }
}

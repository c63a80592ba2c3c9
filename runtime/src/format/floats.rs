//! Tables of `f32` used where they lie in the file.

use crate::error::Error;

/// Little-endian `f32` numbers, all finite.
#[derive(Clone, Copy, Debug)]
pub struct Floats<'a>(&'a [u8]);

impl<'a> Floats<'a> {
    /// Checks that `bytes` holds exactly `count` finite numbers.
    ///
    /// # Errors
    /// `wrong_size` or [`Error::NotFinite`].
    pub fn parse(bytes: &'a [u8], count: usize, wrong_size: Error) -> Result<Self, Error> {
        if bytes.len() != 4 * count {
            return Err(wrong_size);
        }
        let floats = Self(bytes);
        if (0..count).all(|i| is_finite(floats.get(i))) {
            Ok(floats)
        } else {
            Err(Error::NotFinite)
        }
    }

    /// Number `i`; 0 beyond the end, which checked sizes never reach.
    #[inline(never)]
    pub fn get(&self, i: usize) -> f32 {
        match self.0.get(4 * i..4 * i + 4) {
            Some(&[a, b, c, d]) => f32::from_le_bytes([a, b, c, d]),
            _ => 0.0,
        }
    }

    /// All numbers.
    pub fn iter(&self) -> impl Iterator<Item = f32> + use<'a> {
        let floats = *self;
        (0..self.0.len() / 4).map(move |i| floats.get(i))
    }
}

/// Bits of infinity: those of a finite number without its sign are below.
const INFINITY: u32 = 0x7f80_0000;

/// Whether `x` is a number, by its bits: a chip without floating point links no comparison for it.
pub(crate) const fn is_finite(x: f32) -> bool {
    x.to_bits() & !(1 << 31) < INFINITY
}

/// Whether `x` is finite and above 0.
pub(crate) const fn is_positive(x: f32) -> bool {
    x.to_bits() != 0 && x.to_bits() < INFINITY
}

/// Whether `x` is from 0 to 1.
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

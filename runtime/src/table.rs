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
        if (0..count).all(|i| floats.get(i).is_finite()) {
            Ok(floats)
        } else {
            Err(Error::NotFinite)
        }
    }

    /// Number `i`; 0 beyond the end, which checked sizes never reach.
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

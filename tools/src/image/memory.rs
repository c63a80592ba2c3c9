//! Pieces of a chip's memory, by address.

use super::error::ImageError;
use std::collections::BTreeMap;

/// What erased flash reads as; fills gaps where a format has no addresses.
pub const ERASED: u8 = 0xff;

/// Bytes at addresses, in rising order; pieces that touch are one piece.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Memory(BTreeMap<u32, Vec<u8>>);

impl Memory {
    /// Adds `bytes` at `address`.
    ///
    /// # Errors
    /// [`ImageError::Overlap`] where something is there already, or the address space ends.
    pub fn add(&mut self, address: u32, bytes: &[u8]) -> Result<(), ImageError> {
        if bytes.is_empty() {
            return Ok(());
        }
        let overlap = Err(ImageError::Overlap { address });
        let end = u64::from(address) + bytes.len() as u64;
        if end > 1 << 32
            || self.0.range(address..).next().is_some_and(|(&at, _)| u64::from(at) < end)
        {
            return overlap;
        }
        let before = self.0.range(..address).next_back().map(|(&at, piece)| (at, piece.len()));
        match before {
            Some((at, length)) if u64::from(at) + length as u64 > u64::from(address) => {
                return overlap;
            }
            Some((at, length)) if u64::from(at) + length as u64 == u64::from(address) => {
                self.0.entry(at).or_default().extend_from_slice(bytes);
            }
            _ => {
                self.0.insert(address, bytes.to_vec());
            }
        }
        Ok(())
    }

    pub fn pieces(&self) -> impl Iterator<Item = (u32, &[u8])> {
        self.0.iter().map(|(&address, bytes)| (address, bytes.as_slice()))
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The lowest address, and everything from there on with gaps as erased flash: what a `.bin`
    /// file holds.
    pub fn flat(&self) -> (u32, Vec<u8>) {
        let start = self.0.keys().next().copied().unwrap_or(0);
        let mut bytes = Vec::new();
        for (address, piece) in self.pieces() {
            bytes.resize((address - start) as usize, ERASED);
            bytes.extend_from_slice(piece);
        }
        (start, bytes)
    }
}

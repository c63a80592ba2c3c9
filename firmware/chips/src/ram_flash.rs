//! The model slots in an emulator's RAM as NOR flash: erasing sets bits, writing clears them.
//!
//! The emulators' boards have no flash that a program could write. Where the region lies in memory
//! that the emulator keeps in a file, what was written survives the emulator, whenever it ends.
#![allow(unsafe_code)]

use crate::mapped_flash::Driver;
use crate::memory::slots_region;
use core::ptr;
use embedded_storage::nor_flash::NorFlashErrorKind;

const WORD_BYTES: usize = 4;

/// The region between the linker's symbols `_slots_start` and `_slots_end`.
pub struct RamFlash;

impl RamFlash {
    /// Changes the words of the region from `offset` on.
    fn change(
        offset: u32,
        words: impl ExactSizeIterator<Item = u32>,
        change: impl Fn(u32, u32) -> u32,
    ) -> Result<(), NorFlashErrorKind> {
        let (address, bytes) = slots_region();
        let first = offset as usize / WORD_BYTES;
        if first.saturating_add(words.len()) > bytes / WORD_BYTES {
            return Err(NorFlashErrorKind::OutOfBounds);
        }
        let start = ptr::with_exposed_provenance_mut::<u32>(address).wrapping_add(first);
        for (index, word) in words.enumerate() {
            let place = start.wrapping_add(index);
            // SAFETY: inside the region, as was checked; memory.x aligns it, and nothing else lies there.
            unsafe { place.write_volatile(change(place.read_volatile(), word)) };
        }
        Ok(())
    }
}

impl Driver for RamFlash {
    const WRITE_SIZE: usize = WORD_BYTES;
    const ERASE_SIZE: usize = 4096;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), NorFlashErrorKind> {
        let words = 0..to.saturating_sub(from) as usize / WORD_BYTES;
        Self::change(from, words.map(|_| u32::MAX), |_, erased| erased)
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), NorFlashErrorKind> {
        let (words, _) = bytes.as_chunks::<WORD_BYTES>();
        // A bit that is 0 stays 0.
        Self::change(offset, words.iter().map(|word| u32::from_le_bytes(*word)), |old, new| {
            old & new
        })
    }
}

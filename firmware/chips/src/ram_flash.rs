//! A region of an emulator's RAM as NOR flash: erasing sets bits, writing clears them, nothing else.
#![allow(unsafe_code)]

use core::ptr;
use embedded_storage::nor_flash::{
    ErrorType, NorFlash, NorFlashErrorKind, ReadNorFlash, check_erase, check_read, check_write,
};
use qdllm_app::{Layout, SlotFlash};

/// What is erased at once.
const SECTOR_BYTES: u32 = 4096;

/// What is written at once.
const WORD_BYTES: usize = 4;

// From a board's memory.x: only their addresses mean something.
unsafe extern "C" {
    static mut _slots_start: u32;
    static mut _slots_end: u32;
}

/// The board's region of model slots, of which a program makes one.
///
/// The emulators' boards have no flash that a program could write. Where the region lies in memory
/// that the emulator keeps in a file, what was written survives the emulator, whenever it ends.
pub struct RamFlash(());

impl RamFlash {
    /// The region between the linker's symbols `_slots_start` and `_slots_end`.
    ///
    /// # Safety
    /// Called once in a program's life: two of them would write under each other's readers.
    pub unsafe fn take() -> Self {
        Self(())
    }

    /// Two slots that share the region.
    pub fn layout(&self) -> Layout {
        // Regions are far smaller than 4 GiB.
        Layout::pair(0, (self.capacity() / 2) as u32)
    }

    /// The region as it is now.
    fn bytes(&self) -> &[u8] {
        self.map(0, self.capacity())
    }

    /// The address of word number `index`.
    fn word(index: usize) -> *mut u32 {
        (&raw mut _slots_start).wrapping_add(index)
    }

    /// Fills the region with what a file kept, before anything reads it.
    pub(crate) fn restore(&mut self, fill: impl FnOnce(&mut [u8])) {
        let start = (&raw mut _slots_start).cast::<u8>();
        // SAFETY: memory.x reserves the region; it is borrowed mutably, so nobody has a view of it.
        fill(unsafe { core::slice::from_raw_parts_mut(start, self.capacity()) });
    }
}

impl ErrorType for RamFlash {
    type Error = NorFlashErrorKind;
}

impl ReadNorFlash for RamFlash {
    const READ_SIZE: usize = 1;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), NorFlashErrorKind> {
        check_read(self, offset, bytes.len())?;
        let from = self.bytes().iter().skip(offset as usize);
        bytes.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
        Ok(())
    }

    fn capacity(&self) -> usize {
        (&raw const _slots_end).addr() - (&raw const _slots_start).addr()
    }
}

impl NorFlash for RamFlash {
    const WRITE_SIZE: usize = WORD_BYTES;
    const ERASE_SIZE: usize = SECTOR_BYTES as usize;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), NorFlashErrorKind> {
        check_erase(self, from, to)?;
        for index in from as usize / WORD_BYTES..to as usize / WORD_BYTES {
            // SAFETY: inside the region, as was checked.
            unsafe { Self::word(index).write_volatile(u32::MAX) };
        }
        Ok(())
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), NorFlashErrorKind> {
        check_write(self, offset, bytes.len())?;
        let first = offset as usize / WORD_BYTES;
        let (words, _) = bytes.as_chunks::<WORD_BYTES>();
        for (index, word) in words.iter().enumerate() {
            let word = u32::from_le_bytes(*word);
            let place = Self::word(first + index);
            // SAFETY: as above. A bit that is 0 stays 0.
            unsafe { place.write_volatile(place.read_volatile() & word) };
        }
        Ok(())
    }
}

impl<'m> SlotFlash<'m> for RamFlash {
    fn map(&self, offset: u32, length: usize) -> &'m [u8] {
        let room = self.capacity().saturating_sub(offset as usize);
        let start = (&raw const _slots_start).cast::<u8>();
        // SAFETY: inside the region, which is memory as long as the board runs. The app writes no
        // part of it that it still has a view of.
        unsafe {
            &*ptr::slice_from_raw_parts(start.wrapping_add(offset as usize), length.min(room))
        }
    }
}

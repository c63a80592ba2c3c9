//! The slots in flash and a copy of them in RAM, where the processor sees them.
//!
//! The chip maps flash through pages that the second boot stage sets up for the program alone. It has
//! RAM to spare: both slots are read once at the start, and every change goes to flash and to the copy.
#![allow(unsafe_code)]

use core::ptr;
use core::sync::atomic::{AtomicBool, Ordering};
use embedded_storage::nor_flash::{
    ErrorType, NorFlash, NorFlashErrorKind, ReadNorFlash, check_read,
};
use esp_storage::FlashStorage;
use qdllm_app::{Memory, SlotFlash};
use qdllm_runtime::ScratchI16;

/// Where the slots lie in flash: the upper half of 4 MiB, which no usual partition table gives away.
const SLOTS: u32 = 2 << 20;

pub const SLOT_BYTES: u32 = 64 << 10;

pub const BYTES: usize = 2 * SLOT_BYTES as usize;

/// The copy, aligned as the flash driver likes it.
#[repr(align(4))]
struct Copy([u8; BYTES]);

static mut COPY: Copy = Copy([0; BYTES]);
static mut MEMORY: Memory<ScratchI16> = Memory::new(ScratchI16::new());
static TAKEN: AtomicBool = AtomicBool::new(false);

pub struct CopiedFlash {
    flash: FlashStorage<'static>,
}

/// The slots and the app's memory; none a second time, or where flash cannot be read.
pub fn take(
    mut flash: FlashStorage<'static>,
) -> Option<(CopiedFlash, &'static mut Memory<ScratchI16>)> {
    if TAKEN.load(Ordering::Relaxed) {
        return None;
    }
    TAKEN.store(true, Ordering::Relaxed);
    let (copy, memory) = (&raw mut COPY, &raw mut MEMORY);
    // SAFETY: this is the only time, as was checked; there is one core, and no interrupt comes here.
    let (copy, memory) = unsafe { (&mut *copy, &mut *memory) };
    flash.read(SLOTS, &mut copy.0).ok()?;
    Some((CopiedFlash { flash }, memory))
}

impl CopiedFlash {
    fn place(offset: u32) -> *mut u8 {
        (&raw mut COPY).cast::<u8>().wrapping_add(offset as usize)
    }

    /// Whether a part lies inside the slots.
    fn inside(offset: u32, length: usize) -> bool {
        (offset as usize).checked_add(length).is_some_and(|end| end <= BYTES)
    }
}

impl ErrorType for CopiedFlash {
    type Error = NorFlashErrorKind;
}

impl ReadNorFlash for CopiedFlash {
    const READ_SIZE: usize = 1;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), NorFlashErrorKind> {
        check_read(self, offset, bytes.len())?;
        bytes.copy_from_slice(self.map(offset, bytes.len()));
        Ok(())
    }

    fn capacity(&self) -> usize {
        BYTES
    }
}

impl NorFlash for CopiedFlash {
    const WRITE_SIZE: usize = FlashStorage::WRITE_SIZE;
    const ERASE_SIZE: usize = FlashStorage::ERASE_SIZE;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), NorFlashErrorKind> {
        let length = to.saturating_sub(from) as usize;
        if !Self::inside(from, length) {
            return Err(NorFlashErrorKind::OutOfBounds);
        }
        self.flash.erase(SLOTS + from, SLOTS + to).map_err(|_| NorFlashErrorKind::Other)?;
        // SAFETY: inside the copy, as was checked; the app keeps no view of what it erases.
        unsafe { ptr::write_bytes(Self::place(from), 0xff, length) };
        Ok(())
    }

    /// Reads back what flash took: the copy never says more than flash does.
    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), NorFlashErrorKind> {
        if !Self::inside(offset, bytes.len()) {
            return Err(NorFlashErrorKind::OutOfBounds);
        }
        NorFlash::write(&mut self.flash, SLOTS + offset, bytes)
            .map_err(|_| NorFlashErrorKind::Other)?;
        // SAFETY: inside the copy, as was checked; the app keeps no view of what it writes.
        let copy = unsafe { &mut *ptr::slice_from_raw_parts_mut(Self::place(offset), bytes.len()) };
        ReadNorFlash::read(&mut self.flash, SLOTS + offset, copy)
            .map_err(|_| NorFlashErrorKind::Other)
    }
}

impl SlotFlash<'static> for CopiedFlash {
    fn map(&self, offset: u32, length: usize) -> &'static [u8] {
        let room = BYTES.saturating_sub(offset as usize);
        let start = Self::place(offset.min(BYTES as u32)).cast_const();
        // SAFETY: inside the copy, which lives as long as the program. The app writes no part of it
        // that it still has a view of.
        unsafe { &*ptr::slice_from_raw_parts(start, length.min(room)) }
    }
}

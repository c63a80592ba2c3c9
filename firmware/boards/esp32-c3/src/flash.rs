//! The slots in flash and a copy of them in RAM, where the processor sees them.
//!
//! The chip maps flash through pages that the second boot stage sets up for the program alone. It has
//! RAM to spare: both slots are read once at the start, and every change goes to flash and to the copy.
#![allow(unsafe_code)]

use core::ptr;
use core::sync::atomic::{AtomicBool, Ordering};
use embedded_storage::nor_flash::{NorFlash, NorFlashErrorKind, ReadNorFlash};
use esp_storage::FlashStorage;
use qdllm_app::Memory;
use qdllm_chips::mapped_flash::{Driver, MappedFlash};
use qdllm_runtime::ScratchI16;

/// Where the slots lie in flash: the upper half of 4 MiB, which no usual partition table gives away.
const SLOTS: u32 = 2 << 20;

/// Bytes of both slots.
pub const BYTES: usize = 2 * (64 << 10);

/// The copy, aligned as the flash driver likes it.
#[repr(align(4))]
struct Copy([u8; BYTES]);

static mut COPY: Copy = Copy([0; BYTES]);
static mut MEMORY: Memory<ScratchI16> = Memory::new(ScratchI16::new());
static TAKEN: AtomicBool = AtomicBool::new(false);

/// Flash and the copy, which is mapped.
pub struct CopiedFlash(FlashStorage<'static>);

/// The slots and the app's memory; none a second time, or where flash cannot be read.
pub fn take(
    mut flash: FlashStorage<'static>,
) -> Option<(MappedFlash<CopiedFlash>, &'static mut Memory<ScratchI16>)> {
    if TAKEN.load(Ordering::Relaxed) {
        return None;
    }
    TAKEN.store(true, Ordering::Relaxed);
    let (copy, memory) = (&raw mut COPY, &raw mut MEMORY);
    // SAFETY: this is the only time, as was checked; there is one core, and no interrupt comes here.
    let (bytes, memory) = unsafe { (&mut (*copy).0, &mut *memory) };
    flash.read(SLOTS, bytes).ok()?;
    // SAFETY: the copy lives as long as the program, and only the driver changes it.
    let flash = unsafe { MappedFlash::new(CopiedFlash(flash), copy.expose_provenance(), BYTES) };
    Some((flash, memory))
}

fn place(offset: u32) -> *mut u8 {
    (&raw mut COPY).cast::<u8>().wrapping_add(offset as usize)
}

impl Driver for CopiedFlash {
    const WRITE_SIZE: usize = <FlashStorage<'static> as NorFlash>::WRITE_SIZE;
    const ERASE_SIZE: usize = <FlashStorage<'static> as NorFlash>::ERASE_SIZE;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), NorFlashErrorKind> {
        NorFlash::erase(&mut self.0, SLOTS + from, SLOTS + to)
            .map_err(|_| NorFlashErrorKind::Other)?;
        // SAFETY: inside the copy, as `MappedFlash` checks; the app keeps no view of what it erases.
        unsafe { ptr::write_bytes(place(from), 0xff, to.saturating_sub(from) as usize) };
        Ok(())
    }

    /// Reads back what flash took: the copy never says more than flash does.
    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), NorFlashErrorKind> {
        NorFlash::write(&mut self.0, SLOTS + offset, bytes)
            .map_err(|_| NorFlashErrorKind::Other)?;
        // SAFETY: inside the copy, as `MappedFlash` checks; the app keeps no view of what it writes.
        let copy = unsafe { &mut *ptr::slice_from_raw_parts_mut(place(offset), bytes.len()) };
        ReadNorFlash::read(&mut self.0, SLOTS + offset, copy).map_err(|_| NorFlashErrorKind::Other)
    }
}

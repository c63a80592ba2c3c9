//! The model slots in an emulator's RAM as NOR flash: erasing sets bits, writing clears them.
//!
//! The emulators' boards have no flash that a program could write. Where the region lies in memory
//! that the emulator keeps in a file, what was written survives the emulator, whenever it ends; for the
//! other boards a host keeps such a file by way of semihosting.
#![allow(unsafe_code)]

use crate::mapped_flash::Driver;
use crate::memory::slots_region;
use core::ptr;
use cortex_m_semihosting::syscall1;
use embedded_storage::nor_flash::NorFlashErrorKind;

const SYS_OPEN: usize = 0x01;
const SYS_WRITE: usize = 0x05;
const SYS_READ: usize = 0x06;
const SYS_SEEK: usize = 0x0a;
const SYS_GET_CMDLINE: usize = 0x15;

/// Opens for reading and writing, in binary, a file that is there.
const READ_AND_WRITE: usize = 3;

/// What a call answers that cannot do what it was asked.
const REFUSED: usize = usize::MAX;

/// The longest file name, with the zero at its end.
const NAME_BYTES: usize = 512;

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

/// A [`RamFlash`] whose every change goes to the file that the emulator's command line names; without such a
/// file it lasts as long as the emulator.
pub struct SemihostingFlash {
    ram: RamFlash,
    file: Option<usize>,
}

impl SemihostingFlash {
    /// Opens the file and takes the region's content from it.
    ///
    /// # Safety
    /// Nobody has a view of the region.
    pub unsafe fn open() -> Self {
        let file = open();
        if let Some(file) = file {
            let (address, bytes) = slots_region();
            // A file that is shorter leaves what lies behind it as it is.
            call(SYS_READ, &[file, address, bytes]);
        }
        Self { ram: RamFlash, file }
    }

    /// Writes to the file what the region holds now from `offset` on.
    fn keep(&self, offset: u32, length: usize) -> Result<(), NorFlashErrorKind> {
        let Some(file) = self.file else { return Ok(()) };
        let address = slots_region().0 + offset as usize;
        let sought = call(SYS_SEEK, &[file, offset as usize]);
        let left = call(SYS_WRITE, &[file, address, length]);
        if (sought, left) == (0, 0) { Ok(()) } else { Err(NorFlashErrorKind::Other) }
    }
}

/// A handle of the file that the command line names.
fn open() -> Option<usize> {
    let mut name = [0_u8; NAME_BYTES];
    let mut block = [name.as_mut_ptr().expose_provenance(), name.len() - 1];
    // SAFETY: the call writes at most as many bytes as the block says, and their number into it.
    if unsafe { syscall1(SYS_GET_CMDLINE, (&raw mut block).expose_provenance()) } != 0 {
        return None;
    }
    let length = name.iter().position(|&byte| byte == 0).filter(|&length| length > 0)?;
    let file = call(SYS_OPEN, &[name.as_ptr().expose_provenance(), READ_AND_WRITE, length]);
    (file != REFUSED).then_some(file)
}

/// A call with a block of words.
fn call(number: usize, block: &[usize]) -> usize {
    // SAFETY: every caller passes the block that its call defines, with addresses and lengths of
    // memory that lives until the call returns.
    unsafe { syscall1(number, block.as_ptr().expose_provenance()) }
}

impl Driver for SemihostingFlash {
    const WRITE_SIZE: usize = RamFlash::WRITE_SIZE;
    const ERASE_SIZE: usize = RamFlash::ERASE_SIZE;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), NorFlashErrorKind> {
        self.ram.erase(from, to)?;
        self.keep(from, (to - from) as usize)
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), NorFlashErrorKind> {
        self.ram.write(offset, bytes)?;
        self.keep(offset, bytes.len())
    }
}

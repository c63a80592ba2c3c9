//! A chip's own flash, driven by its HAL crate, as the app wants it: with a view of it in memory.
#![allow(unsafe_code)]

use core::ptr;
use embedded_storage::nor_flash::{ErrorType, NorFlash, ReadNorFlash};
use qdllm_app::SlotFlash;

/// Flash whose offset 0 the processor sees at an address.
pub struct MappedFlash<F> {
    flash: F,
    address: usize,
}

impl<F: ReadNorFlash> MappedFlash<F> {
    /// `flash`, which begins at `address`.
    ///
    /// # Safety
    /// All of `flash.capacity()` bytes from `address` on are readable as long as the program runs, and
    /// nothing but this value changes the slots among them.
    pub unsafe fn new(flash: F, address: usize) -> Self {
        Self { flash, address }
    }
}

impl<F: ErrorType> ErrorType for MappedFlash<F> {
    type Error = F::Error;
}

impl<F: ReadNorFlash> ReadNorFlash for MappedFlash<F> {
    const READ_SIZE: usize = F::READ_SIZE;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), F::Error> {
        self.flash.read(offset, bytes)
    }

    fn capacity(&self) -> usize {
        self.flash.capacity()
    }
}

impl<F: NorFlash> NorFlash for MappedFlash<F> {
    const WRITE_SIZE: usize = F::WRITE_SIZE;
    const ERASE_SIZE: usize = F::ERASE_SIZE;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), F::Error> {
        self.flash.erase(from, to)
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), F::Error> {
        self.flash.write(offset, bytes)
    }
}

impl<'m, F: NorFlash> SlotFlash<'m> for MappedFlash<F> {
    fn map(&self, offset: u32, length: usize) -> &'m [u8] {
        let room = self.flash.capacity().saturating_sub(offset as usize);
        let start = ptr::with_exposed_provenance::<u8>(self.address).wrapping_add(offset as usize);
        // SAFETY: inside the flash, which `new`'s caller vouched for. The app writes no part of it that
        // it still has a view of.
        unsafe { &*ptr::slice_from_raw_parts(start, length.min(room)) }
    }
}

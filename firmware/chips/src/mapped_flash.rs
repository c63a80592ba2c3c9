//! Flash that the processor also sees as memory, as the app wants it.
#![allow(unsafe_code)]

use core::ptr;
use embedded_storage::nor_flash::{
    ErrorType, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash, check_erase, check_read,
    check_write,
};
use qdllm_app::{Layout, SlotFlash};

/// How a chip's flash is erased and written. [`MappedFlash`] asks for whole units inside it; offset 0
/// is the first byte that is mapped.
pub trait Driver {
    const WRITE_SIZE: usize;
    const ERASE_SIZE: usize;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), NorFlashErrorKind>;

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), NorFlashErrorKind>;
}

impl<F: NorFlash> Driver for F {
    const WRITE_SIZE: usize = <F as NorFlash>::WRITE_SIZE;
    const ERASE_SIZE: usize = <F as NorFlash>::ERASE_SIZE;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), NorFlashErrorKind> {
        NorFlash::erase(self, from, to).map_err(|error| error.kind())
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), NorFlashErrorKind> {
        NorFlash::write(self, offset, bytes).map_err(|error| error.kind())
    }
}

/// Flash whose offset 0 the processor sees at an address.
pub struct MappedFlash<D> {
    driver: D,
    address: usize,
    bytes: usize,
}

impl<D: Driver> MappedFlash<D> {
    /// `bytes` of flash that begin at `address`.
    ///
    /// # Safety
    /// All of them are readable as long as the program runs, and nothing but this value changes the
    /// slots among them.
    pub unsafe fn new(driver: D, address: usize, bytes: usize) -> Self {
        Self { driver, address, bytes }
    }

    /// The region that memory.x gives to the model slots.
    ///
    /// # Safety
    /// As [`new`](Self::new).
    #[cfg(target_arch = "arm")]
    pub unsafe fn of_slots(driver: D) -> Self {
        let (address, bytes) = crate::memory::slots_region();
        Self { driver, address, bytes }
    }

    /// Two slots that share all of it.
    pub fn layout(&self) -> Layout {
        // Regions are far smaller than 4 GiB.
        Layout::pair(0, (self.bytes / 2) as u32)
    }
}

impl<D> ErrorType for MappedFlash<D> {
    type Error = NorFlashErrorKind;
}

impl<D: Driver> ReadNorFlash for MappedFlash<D> {
    const READ_SIZE: usize = 1;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), NorFlashErrorKind> {
        check_read(self, offset, bytes.len())?;
        let found = self.map(offset, bytes.len());
        bytes.iter_mut().zip(found).for_each(|(to, from)| *to = *from);
        Ok(())
    }

    fn capacity(&self) -> usize {
        self.bytes
    }
}

impl<D: Driver> NorFlash for MappedFlash<D> {
    const WRITE_SIZE: usize = D::WRITE_SIZE;
    const ERASE_SIZE: usize = D::ERASE_SIZE;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), NorFlashErrorKind> {
        check_erase(self, from, to)?;
        self.driver.erase(from, to)
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), NorFlashErrorKind> {
        check_write(self, offset, bytes.len())?;
        self.driver.write(offset, bytes)
    }
}

impl<'m, D: Driver> SlotFlash<'m> for MappedFlash<D> {
    fn map(&self, offset: u32, length: usize) -> &'m [u8] {
        let room = self.bytes.saturating_sub(offset as usize);
        let start = ptr::with_exposed_provenance::<u8>(self.address).wrapping_add(offset as usize);
        // SAFETY: inside the flash, which `new`'s caller vouched for. The app writes no part of it that
        // it still has a view of.
        unsafe { &*ptr::slice_from_raw_parts(start, length.min(room)) }
    }
}

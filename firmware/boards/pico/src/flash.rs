//! The Pico's flash as `embedded-storage` sees it: sectors of 4096 bytes, any byte once.

use crate::boot_rom;
use embedded_storage::nor_flash::{
    ErrorType, NorFlash, NorFlashErrorKind, ReadNorFlash, check_erase, check_read, check_write,
};
use qdllm_app::{Layout, SlotFlash};

/// What the boot ROM erases at once.
const SECTOR_BYTES: usize = 4096;

/// What the boot ROM programs at once.
const PAGE_BYTES: usize = 256;

/// The region of the model slots; offset 0 is its first byte.
pub struct Slots;

impl Slots {
    /// Two slots that share the region.
    pub fn layout(&self) -> Layout {
        // The region is half of 2 MiB.
        Layout::pair(0, (self.capacity() / 2) as u32)
    }
}

impl ErrorType for Slots {
    type Error = NorFlashErrorKind;
}

impl ReadNorFlash for Slots {
    const READ_SIZE: usize = 1;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), NorFlashErrorKind> {
        check_read(self, offset, bytes.len())?;
        let found = boot_rom::slots(offset as usize, bytes.len());
        bytes.iter_mut().zip(found).for_each(|(to, from)| *to = *from);
        Ok(())
    }

    fn capacity(&self) -> usize {
        boot_rom::slots_bytes()
    }
}

impl NorFlash for Slots {
    /// Bytes beside those written get ones, which change nothing.
    const WRITE_SIZE: usize = 1;
    const ERASE_SIZE: usize = SECTOR_BYTES;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), NorFlashErrorKind> {
        check_erase(self, from, to)?;
        for sector in (from..to).step_by(SECTOR_BYTES) {
            boot_rom::erase_sector(sector);
        }
        Ok(())
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), NorFlashErrorKind> {
        check_write(self, offset, bytes.len())?;
        let mut at = offset as usize;
        let mut rest = bytes;
        while !rest.is_empty() {
            let into = at % PAGE_BYTES;
            let (part, left) = rest.split_at(rest.len().min(PAGE_BYTES - into));
            let mut page = [0xff; PAGE_BYTES];
            page.iter_mut().skip(into).zip(part).for_each(|(to, from)| *to = *from);
            // Offsets fit 32 bits: they were checked against the region's length.
            boot_rom::program_page((at - into) as u32, &page);
            at += part.len();
            rest = left;
        }
        Ok(())
    }
}

impl<'m> SlotFlash<'m> for Slots {
    fn map(&self, offset: u32, length: usize) -> &'m [u8] {
        boot_rom::slots(offset as usize, length)
    }
}

//! The Pico's flash as `embedded-storage` sees it: sectors of 4096 bytes, any byte once.

use crate::hardware;
use embedded_storage::nor_flash::{
    ErrorType, MultiwriteNorFlash, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash,
    check_erase, check_read, check_write,
};

/// What the boot ROM erases at once.
const SECTOR_BYTES: usize = 4096;

/// What the boot ROM programs at once.
const PAGE_BYTES: usize = 256;

/// The region of the model slots; offset 0 is its first byte.
pub struct Slots;

/// An access outside the region or off a sector's bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Misplaced(NorFlashErrorKind);

impl NorFlashError for Misplaced {
    fn kind(&self) -> NorFlashErrorKind {
        self.0
    }
}

impl ErrorType for Slots {
    type Error = Misplaced;
}

impl ReadNorFlash for Slots {
    const READ_SIZE: usize = 1;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), Misplaced> {
        check_read(self, offset, bytes.len()).map_err(Misplaced)?;
        hardware::read_slots(offset as usize, bytes);
        Ok(())
    }

    fn capacity(&self) -> usize {
        hardware::slots_bytes()
    }
}

impl NorFlash for Slots {
    /// Bytes beside those written get ones, which change nothing.
    const WRITE_SIZE: usize = 1;
    const ERASE_SIZE: usize = SECTOR_BYTES;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), Misplaced> {
        check_erase(self, from, to).map_err(Misplaced)?;
        for sector in (from..to).step_by(SECTOR_BYTES) {
            hardware::erase_sector(sector);
        }
        Ok(())
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), Misplaced> {
        check_write(self, offset, bytes.len()).map_err(Misplaced)?;
        let mut at = offset as usize;
        let mut rest = bytes;
        while !rest.is_empty() {
            let into = at % PAGE_BYTES;
            let (part, left) = rest.split_at(rest.len().min(PAGE_BYTES - into));
            let mut page = [0xff; PAGE_BYTES];
            page.iter_mut().skip(into).zip(part).for_each(|(to, from)| *to = *from);
            // Offsets fit 32 bits: they were checked against the region's length.
            hardware::program_page((at - into) as u32, &page);
            at += part.len();
            rest = left;
        }
        Ok(())
    }
}

impl MultiwriteNorFlash for Slots {}

//! The Pico's flash as `embedded-storage` sees it: sectors of 4096 bytes, any byte once.

use crate::boot_rom;
use embedded_storage::nor_flash::NorFlashErrorKind;
use qdllm_chips::mapped_flash::Driver;

/// What the boot ROM erases at once.
const SECTOR_BYTES: usize = 4096;

/// What the boot ROM programs at once.
const PAGE_BYTES: usize = 256;

/// The region of the model slots; offset 0 is its first byte.
pub struct Slots;

impl Driver for Slots {
    /// Bytes beside those written get ones, which change nothing.
    const WRITE_SIZE: usize = 1;
    const ERASE_SIZE: usize = SECTOR_BYTES;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), NorFlashErrorKind> {
        for sector in (from..to).step_by(SECTOR_BYTES) {
            boot_rom::erase_sector(sector);
        }
        Ok(())
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), NorFlashErrorKind> {
        let mut at = offset as usize;
        let mut rest = bytes;
        while !rest.is_empty() {
            let into = at % PAGE_BYTES;
            let (part, left) = rest.split_at(rest.len().min(PAGE_BYTES - into));
            let mut page = [0xff; PAGE_BYTES];
            page.iter_mut().skip(into).zip(part).for_each(|(to, from)| *to = *from);
            boot_rom::program_page((at - into) as u32, &page);
            at += part.len();
            rest = left;
        }
        Ok(())
    }
}

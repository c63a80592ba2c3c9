//! The two large sectors of the chip's flash that hold the slots.
//!
//! The HAL crate writes single bytes, which makes an erasure take twice as long and a model four times,
//! and leaves the data cache as it was. The board's 3.3 V allow words of 32 bits.
#![allow(unsafe_code)]

use embedded_storage::nor_flash::NorFlashErrorKind;
use qdllm_chips::mapped_flash::Driver;
use stm32f4xx_hal::pac::FLASH;
use stm32f4xx_hal::pac::flash::cr::PSIZE;

/// Where the first sector lies, its number, and its length, as in memory.x.
pub const START: usize = 0x0804_0000;
const FIRST_SECTOR: u32 = 6;
pub const SECTOR_BYTES: u32 = 128 << 10;
pub const BYTES: usize = 2 * SECTOR_BYTES as usize;

const KEYS: [u32; 2] = [0x4567_0123, 0xcdef_89ab];

/// Both sectors; offset 0 is the first one's first byte.
pub struct Slots(pub FLASH);

impl Slots {
    /// Waits until the last order is done and says whether it was.
    fn done(&self) -> Result<(), NorFlashErrorKind> {
        let flash = &self.0;
        while flash.sr().read().bsy().bit_is_set() {}
        let status = flash.sr().read();
        let good = !(status.wrperr().bit() || status.pgaerr().bit() || status.pgperr().bit());
        // Errors stay until they are written back.
        flash.sr().write(|w| unsafe { w.bits(status.bits()) });
        if good { Ok(()) } else { Err(NorFlashErrorKind::Other) }
    }

    /// Does `orders` with the control register open and words of 32 bits.
    fn open(
        &mut self,
        orders: impl FnOnce(&mut Self) -> Result<(), NorFlashErrorKind>,
    ) -> Result<(), NorFlashErrorKind> {
        for key in KEYS {
            // SAFETY: the register's two keys; other values would only lock it until a reset.
            self.0.keyr().write(|w| unsafe { w.key().bits(key) });
        }
        self.0.cr().write(|w| w.psize().variant(PSIZE::Psize32));
        let done = self.done().and_then(|()| orders(self));
        self.0.cr().write(|w| w.lock().set_bit());
        done
    }

    /// Empties the data cache, which does not see what changes in flash.
    fn forget(&self) {
        let cache = self.0.acr();
        cache.modify(|_, w| w.dcen().clear_bit());
        cache.modify(|_, w| w.dcrst().set_bit());
        cache.modify(|_, w| w.dcrst().clear_bit());
        cache.modify(|_, w| w.dcen().set_bit());
    }
}

impl Driver for Slots {
    const WRITE_SIZE: usize = 4;
    const ERASE_SIZE: usize = SECTOR_BYTES as usize;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), NorFlashErrorKind> {
        for sector in from / SECTOR_BYTES..to / SECTOR_BYTES {
            self.open(|slots| {
                // SAFETY: 6 or 7, which the program does not lie in.
                let number = |w: &mut stm32f4xx_hal::pac::flash::cr::W| unsafe {
                    w.snb().bits((FIRST_SECTOR + sector) as u8);
                };
                slots.0.cr().modify(|_, w| {
                    number(w);
                    w.ser().set_bit()
                });
                slots.0.cr().modify(|_, w| w.strt().set_bit());
                slots.done()
            })?;
        }
        self.forget();
        Ok(())
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), NorFlashErrorKind> {
        if offset as usize + bytes.len() > BYTES {
            return Err(NorFlashErrorKind::OutOfBounds);
        }
        let (words, _) = bytes.as_chunks();
        let done = self.open(|slots| {
            slots.0.cr().modify(|_, w| w.pg().set_bit());
            let first = core::ptr::with_exposed_provenance_mut::<u32>(START + offset as usize);
            for (index, word) in words.iter().enumerate() {
                // SAFETY: inside the slots, as was checked, and aligned. Flash takes one word at a time.
                unsafe { first.wrapping_add(index).write_volatile(u32::from_le_bytes(*word)) };
                slots.done()?;
            }
            Ok(())
        });
        self.forget();
        done
    }
}

//! The Pico's flash as `embedded-storage` sees it: sectors of 4096 bytes, any byte once; by the boot
//! ROM's calls, with the second boot stage.
#![allow(unsafe_code)]

use core::ptr;
use cortex_m_rt::{ExceptionFrame, exception};
use embedded_storage::nor_flash::NorFlashErrorKind;
use qdllm_chips::mapped_flash::Driver;
use qdllm_chips::memory::slots_region;
use rp2040_hal::rom_data;

const FLASH_START: usize = 0x1000_0000;

/// The boot ROM may erase 64 KiB at once with this command where that much is asked for.
const BLOCK_BYTES: u32 = 1 << 16;
const BLOCK_ERASE: u8 = 0xd8;

const SECTOR_BYTES: usize = 4096;
const PAGE_BYTES: usize = 256;

/// Loaded by the boot ROM; sets the flash chip up for execution in place.
// SAFETY: memory.x gives this section the place where the boot ROM looks.
#[unsafe(link_section = ".boot2")]
#[used]
static BOOT2: [u8; 256] = rp2040_boot2::BOOT_LOADER_W25Q080;

/// The boot ROM's calls and the second boot stage, all in RAM: while the flash chip takes commands
/// it gives no instructions.
struct Calls {
    connect: unsafe extern "C" fn(),
    exit_xip: unsafe extern "C" fn(),
    erase: unsafe extern "C" fn(u32, usize, u32, u8),
    program: unsafe extern "C" fn(u32, *const u8, usize),
    flush: unsafe extern "C" fn(),
    boot2: [u32; 64],
}

impl Calls {
    fn look_up() -> Self {
        let mut boot2 = [0; 64];
        for (to, from) in boot2.iter_mut().zip(BOOT2.chunks_exact(4)) {
            *to = from.iter().rev().fold(0, |word, &byte| word << 8 | u32::from(byte));
        }
        Self {
            connect: rom_data::connect_internal_flash::ptr(),
            exit_xip: rom_data::flash_exit_xip::ptr(),
            erase: rom_data::flash_range_erase::ptr(),
            program: rom_data::flash_range_program::ptr(),
            flush: rom_data::flash_flush_cache::ptr(),
            boot2,
        }
    }
}

/// The place in the flash chip of `bytes` at `offset` of the slots' region, if they lie inside it.
fn in_flash(offset: u32, bytes: usize) -> Option<u32> {
    let (address, room) = slots_region();
    let end = (offset as usize).checked_add(bytes)?;
    // Flash addresses have 24 bits.
    (end <= room).then_some((address - FLASH_START) as u32 + offset)
}

/// # Safety
/// `at` is a sector that nothing runs from or refers to, and no interrupt comes.
#[unsafe(link_section = ".data.erase_from_ram")]
#[inline(never)]
unsafe fn erase_from_ram(calls: &Calls, at: u32) {
    // SAFETY: the order that the chip's data sheet gives, from code in RAM.
    unsafe {
        (calls.connect)();
        (calls.exit_xip)();
        (calls.erase)(at, SECTOR_BYTES, BLOCK_BYTES, BLOCK_ERASE);
        (calls.flush)();
        map_again(&calls.boot2);
    }
}

/// # Safety
/// As [`erase_from_ram`]; `page` points to 256 bytes in RAM.
#[unsafe(link_section = ".data.program_from_ram")]
#[inline(never)]
unsafe fn program_from_ram(calls: &Calls, at: u32, page: *const u8) {
    // SAFETY: as above.
    unsafe {
        (calls.connect)();
        (calls.exit_xip)();
        (calls.program)(at, page, PAGE_BYTES);
        (calls.flush)();
        map_again(&calls.boot2);
    }
}

/// Runs the second boot stage from RAM, which maps flash again and returns.
///
/// # Safety
/// `boot2` holds the stage's code.
#[inline(always)]
unsafe fn map_again(boot2: &[u32; 64]) {
    // Functions in Thumb code have an odd address.
    let entry = ptr::from_ref(boot2).cast::<u8>().wrapping_add(1);
    // SAFETY: the stage is position-independent code that returns to a caller that is not the ROM.
    unsafe { core::mem::transmute::<*const u8, extern "C" fn()>(entry)() };
}

/// The region of the model slots; offset 0 is its first byte.
pub struct Slots;

impl Driver for Slots {
    /// Bytes beside those written get ones, which change nothing.
    const WRITE_SIZE: usize = 1;
    const ERASE_SIZE: usize = SECTOR_BYTES;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), NorFlashErrorKind> {
        for sector in (from..to).step_by(SECTOR_BYTES) {
            let Some(at) = in_flash(sector, SECTOR_BYTES) else { continue };
            let calls = Calls::look_up();
            // SAFETY: the sector belongs to the slots, which nothing executes from; interrupts are off, so
            // no code runs from flash before it is mapped again.
            critical_section::with(|_| unsafe { erase_from_ram(&calls, at) });
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
            if let Some(at) = in_flash((at - into) as u32, PAGE_BYTES) {
                let (calls, page) = (Calls::look_up(), page.as_ptr());
                // SAFETY: as above; the page lies in RAM. Only bits that become 0 change.
                critical_section::with(|_| unsafe { program_from_ram(&calls, at, page) });
            }
            at += part.len();
            rest = left;
        }
        Ok(())
    }
}

/// A bad address, a stack that grew out of its region, or an unknown instruction: start again.
#[exception]
unsafe fn HardFault(_: &ExceptionFrame) -> ! {
    cortex_m::peripheral::SCB::sys_reset()
}

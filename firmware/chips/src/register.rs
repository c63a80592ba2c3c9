//! Peripheral registers: reads and writes that the compiler may not move or merge, and waiting for them
//! with the core asleep. An emulator that runs a core in circles has little time left to bring it bytes:
//! every look at a register keeps the emulator's own thread out.
#![allow(unsafe_code)]

use cortex_m::asm::wfi;
use cortex_m::interrupt;

/// Reads the register at `address`, which must be one that the board maps.
pub(crate) fn read(address: usize) -> u32 {
    // SAFETY: the drivers of this crate pass addresses inside a peripheral that their board always
    // maps; reading its registers touches no memory of the program.
    unsafe { (address as *const u32).read_volatile() }
}

pub(crate) fn write(address: usize, value: u32) {
    // SAFETY: as above; none of these peripherals writes memory either.
    unsafe { (address as *mut u32).write_volatile(value) }
}

/// The interrupt controller's registers that enable, disable and unpend interrupt 0 to 31; the word of
/// those that follow is the next.
const ENABLE: usize = 0xe000_e100;
const DISABLE: usize = 0xe000_e180;
const UNPEND: usize = 0xe000_e280;

/// Sleeps until `ready`. Interrupt `number` wakes the core and is never taken: it is enabled only while
/// the core takes none. Others, such as the timer's, are taken between two sleeps.
pub(crate) fn sleep_until(number: usize, ready: impl Fn() -> bool) {
    let (word, bit) = (4 * (number / 32), 1 << (number % 32));
    while !ready() {
        interrupt::free(|_| {
            write(ENABLE + word, bit);
            // What arrived since the last look keeps the core awake: it is pending by now.
            if !ready() {
                wfi();
            }
            write(DISABLE + word, bit);
            write(UNPEND + word, bit);
        });
    }
}

//! Peripheral registers: reads and writes that the compiler may not move or merge.
#![allow(unsafe_code)]

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

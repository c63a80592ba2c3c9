//! How much memory a running program takes, from the linker's symbols.
#![allow(unsafe_code)]

use cortex_m_rt::STACK_PAINT_VALUE;

// From a board's memory.x and the start-up code's linker script: only their addresses mean something.
unsafe extern "C" {
    static _stack_start: u32;
    static _stack_end: u32;
    static __sdata: u8;
    static __ebss: u8;
}

/// Bytes of stack used at the deepest moment: what is no longer the paint that the start-up code
/// put there.
pub fn stack_high_water_bytes() -> usize {
    let top = &raw const _stack_start;
    let mut word = &raw const _stack_end;
    // SAFETY: both symbols bound the stack's region and are word-aligned. Words below the stack
    // pointer belong to nobody, and a volatile read of one above it changes nothing.
    while word < top && unsafe { word.read_volatile() } == STACK_PAINT_VALUE {
        word = word.wrapping_add(1);
    }
    top.addr() - word.addr()
}

/// Bytes of RAM taken by statics, with and without initial values.
pub fn static_ram_bytes() -> usize {
    (&raw const __ebss).addr() - (&raw const __sdata).addr()
}

/// The region of the model slots, for a program that never writes it.
pub fn model_region() -> &'static [u8] {
    unsafe extern "C" {
        static _slots_start: u8;
        static _slots_end: u8;
    }
    let start = &raw const _slots_start;
    let length = (&raw const _slots_end).addr() - start.addr();
    // SAFETY: memory.x reserves the region, nothing is linked into it and nothing writes it while
    // the program runs, so it is readable and constant.
    unsafe { core::slice::from_raw_parts(start, length) }
}

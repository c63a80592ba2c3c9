//! How much memory a running program takes, from the linker's symbols.
#![allow(unsafe_code)]

use cortex_m_rt::STACK_PAINT_VALUE;

// From a board's memory.x and the start-up code's linker script: only their addresses mean something.
unsafe extern "C" {
    static _stack_start: u32;
    static _stack_end: u32;
    static __sdata: u8;
    static __ebss: u8;
    static _slots_start: u8;
    static _slots_end: u8;
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

/// Paints the free stack again: from now on only what is used from now on counts.
pub fn repaint_stack() {
    let top = cortex_m::register::msp::read() as usize;
    let mut word = (&raw const _stack_end).expose_provenance();
    while word < top {
        // SAFETY: the word lies in the stack's region and below the stack pointer: it belongs to nobody.
        unsafe {
            core::ptr::with_exposed_provenance_mut::<u32>(word).write_volatile(STACK_PAINT_VALUE);
        }
        word += size_of::<u32>();
    }
}

/// Bytes of RAM taken by statics, with and without initial values.
pub fn static_ram_bytes() -> usize {
    (&raw const __ebss).addr() - (&raw const __sdata).addr()
}

/// Address and length of the region that memory.x gives to the model slots.
pub fn slots_region() -> (usize, usize) {
    let address = (&raw const _slots_start).expose_provenance();
    (address, (&raw const _slots_end).addr() - address)
}

/// The same region, for a program that never writes it.
pub fn model_region() -> &'static [u8] {
    let (address, length) = slots_region();
    let start = core::ptr::with_exposed_provenance(address);
    // SAFETY: memory.x reserves the region, nothing is linked into it and nothing writes it while
    // the program runs, so it is readable and constant.
    unsafe { core::slice::from_raw_parts(start, length) }
}

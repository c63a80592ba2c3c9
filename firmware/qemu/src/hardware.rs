//! The one place with `unsafe`: registers, the model's region, linker symbols, the way out.
#![allow(unsafe_code)]

use crate::uart::Uart;
use core::panic::PanicInfo;
use cortex_m_rt::{ExceptionFrame, STACK_PAINT_VALUE, exception};
use cortex_m_semihosting::syscall;
use embedded_io::Write;

/// Address of UART0's registers.
pub const UART0: usize = 0x4000_4000;

/// Exit code after a panic.
const EXIT_PANIC: u8 = 101;
/// Exit code after a fault.
const EXIT_FAULT: u8 = 102;

/// Semihosting: end the program with a code of its own.
const SYS_EXIT_EXTENDED: usize = 0x20;
/// The reason that goes with a code.
const APPLICATION_EXIT: usize = 0x20026;

// From memory.x and the start-up code's linker script: only their addresses mean something.
unsafe extern "C" {
    static _model_start: u8;
    static _model_end: u8;
    static _stack_start: u32;
    static _stack_end: u32;
    static __sdata: u8;
    static __ebss: u8;
}

/// Reads a peripheral's register.
pub fn read_register(address: usize) -> u32 {
    // SAFETY: callers pass addresses inside UART0, which the board always maps; reading its
    // registers touches no memory.
    unsafe { (address as *const u32).read_volatile() }
}

/// Writes a peripheral's register.
pub fn write_register(address: usize, value: u32) {
    // SAFETY: as above; the UART writes no memory either.
    unsafe { (address as *mut u32).write_volatile(value) }
}

/// The flash region that the model lies in, whatever its bytes are.
pub fn model_region() -> &'static [u8] {
    let start = &raw const _model_start;
    let length = (&raw const _model_end).addr() - start.addr();
    // SAFETY: memory.x reserves the region, nothing is linked into it and nothing writes it while
    // the program runs, so it is readable and constant.
    unsafe { core::slice::from_raw_parts(start, length) }
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

/// Ends the program; the emulator ends with this code.
pub fn exit(code: u8) -> ! {
    let reason = [APPLICATION_EXIT, code.into()];
    // SAFETY: the call reads the two words that it is given, as its definition says.
    unsafe { syscall(SYS_EXIT_EXTENDED, &reason) };
    // A debugger may let the program go on.
    loop {
        cortex_m::asm::wfi();
    }
}

/// Says where, without the formatter: the message may be what could not be formatted.
#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    let file = info.location().map_or("?", |location| location.file());
    for part in ["!panic in ", file, "\r\n"] {
        let Ok(()) = Uart::start().write_all(part.as_bytes());
    }
    exit(EXIT_PANIC)
}

/// A bad address, a stack that grew out of its region, or an unknown instruction.
#[exception]
unsafe fn HardFault(_: &ExceptionFrame) -> ! {
    let Ok(()) = Uart::start().write_all(b"!fault\r\n");
    exit(EXIT_FAULT)
}

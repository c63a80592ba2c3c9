//! The way out of a program: end the emulator with a code, reset the chip, say where it panicked.
#![allow(unsafe_code)]

use core::panic::PanicInfo;
use cortex_m_semihosting::syscall;
use embedded_io::Write;

const EXIT_PANIC: u8 = 101;
const EXIT_FAULT: u8 = 102;
/// Where the core's peripherals were handed out before, which the start-up code never does.
const EXIT_NO_PERIPHERALS: u8 = 120;

/// Semihosting: end the program with a code of its own.
const SYS_EXIT_EXTENDED: usize = 0x20;
/// The reason that goes with a code.
const APPLICATION_EXIT: usize = 0x20026;

/// The core's peripherals; a second call ends the program.
pub fn peripherals() -> cortex_m::Peripherals {
    cortex_m::Peripherals::take().unwrap_or_else(|| exit(EXIT_NO_PERIPHERALS))
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

/// Says where the program panicked, without the formatter: the message may be what could not be
/// formatted. Then ends it with code 101.
pub fn panicked(port: &mut impl Write, info: &PanicInfo<'_>) -> ! {
    let file = info.location().map_or("?", |location| location.file());
    for part in ["!panic in ", file, "\r\n"] {
        // A port that fails here has nobody to tell.
        let _ = port.write_all(part.as_bytes());
    }
    exit(EXIT_PANIC)
}

/// Nothing on a chip can be told to anybody: it starts again.
#[cfg(feature = "reset")]
#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    cortex_m::peripheral::SCB::sys_reset()
}

/// Says that the core met a bad address, a stack that grew out of its region or an unknown
/// instruction. Then ends the program with code 102.
pub fn faulted(port: &mut impl Write) -> ! {
    let _ = port.write_all(b"!fault\r\n");
    exit(EXIT_FAULT)
}

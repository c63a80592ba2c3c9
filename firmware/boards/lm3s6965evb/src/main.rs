#![doc = include_str!("../README.md")]
#![no_std]
#![no_main]

use core::panic::PanicInfo;
use cortex_m_rt::{ExceptionFrame, entry, exception};
use qdllm_app::{BoardConfig, Memory};
use qdllm_chips::emulated_flash::SemihostingFlash;
use qdllm_chips::exit;
use qdllm_chips::mapped_flash::MappedFlash;
use qdllm_chips::serve;
use qdllm_chips::uart::{Pl011, clock};
use qdllm_runtime::ScratchI16;

/// The board's first serial port, with its interrupt.
type Uart = qdllm_chips::uart::Uart<Pl011, 0x4000_c000, 5>;

/// The register that lets the clocks of the UARTs run, and the bit of the first.
const CLOCK_GATES: usize = 0x400f_e104;
const FIRST_UART: u32 = 1;

#[allow(unsafe_code)]
#[entry]
fn main() -> ! {
    static mut MEMORY: Memory<ScratchI16> = Memory::new(ScratchI16::new());
    // SAFETY: the start-up code comes here once.
    let flash = unsafe { MappedFlash::of_slots(SemihostingFlash::open()) };
    let config = BoardConfig::new("lm3s6965evb", flash.layout());
    #[cfg(feature = "signing")]
    let config = config.with_key(env!("QDLLM_PUBLIC_KEY"));
    clock(CLOCK_GATES, FIRST_UART);
    serve::in_emulator(&config, Uart::start(), flash, MEMORY)
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    exit::panicked(&mut Uart::start(), info)
}

#[allow(unsafe_code)]
#[exception]
unsafe fn HardFault(_: &ExceptionFrame) -> ! {
    exit::faulted(&mut Uart::start())
}

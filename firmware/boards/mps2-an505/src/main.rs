#![doc = include_str!("../README.md")]
#![no_std]
#![no_main]

use core::panic::PanicInfo;
use cortex_m_rt::{ExceptionFrame, entry, exception};
use qdllm_app::{BoardConfig, Memory};
use qdllm_chips::emulated_flash::RamFlash;
use qdllm_chips::exit;
use qdllm_chips::mapped_flash::MappedFlash;
use qdllm_chips::serve;
use qdllm_chips::uart::Cmsdk;
use qdllm_runtime::Scratch;

/// The board's first serial port, with its interrupt.
type Uart = qdllm_chips::uart::Uart<Cmsdk, 0x5020_0000, 32>;

#[allow(unsafe_code)]
#[entry]
fn main() -> ! {
    static mut MEMORY: Memory<Scratch> = Memory::new(Scratch::new());
    // SAFETY: the start-up code comes here once.
    let flash = unsafe { MappedFlash::of_slots(RamFlash) };
    let config = BoardConfig::new("mps2-an505", flash.layout());
    #[cfg(feature = "signing")]
    let config = config.with_key(env!("QDLLM_PUBLIC_KEY"));
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

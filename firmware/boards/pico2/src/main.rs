#![doc = include_str!("../README.md")]
#![no_std]
#![no_main]

use cortex_m::peripheral::SCB;
use cortex_m_rt::entry;
use embassy_rp::flash::{Blocking, Flash};
use embassy_rp::uart::{self, BufferedInterruptHandler, BufferedUart};
use embassy_rp::{bind_interrupts, clocks, config, peripherals};
use qdllm_app::{BoardConfig, Layout, Memory};
use qdllm_chips::counters::CycleCounter;
use qdllm_chips::mapped_flash::MappedFlash;
use qdllm_chips::serve;
use qdllm_runtime::Scratch;

/// Where flash is mapped, and its length.
const FLASH_START: usize = 0x1000_0000;
const FLASH_BYTES: usize = 4 << 20;

/// Where the slots lie in it, as in memory.x.
const SLOTS: u32 = 2 << 20;
const SLOT_BYTES: u32 = 1 << 20;

/// Bytes that the port keeps, except while flash is erased or written with interrupts off.
const RECEIVE_BYTES: usize = 2048;

bind_interrupts!(struct Interrupts {
    UART0_IRQ => BufferedInterruptHandler<peripherals::UART0>;
});

#[entry]
#[allow(unsafe_code)]
fn main() -> ! {
    static mut MEMORY: Memory<Scratch> = Memory::new(Scratch::new());
    static mut RECEIVED: [u8; RECEIVE_BYTES] = [0; RECEIVE_BYTES];
    static mut TO_SEND: [u8; 64] = [0; 64];
    let Some(core) = cortex_m::Peripherals::take() else { SCB::sys_reset() };
    let chip = embassy_rp::init(config::Config::default());
    // 115200 baud, 8 data bits, no parity, one stop bit.
    let port = BufferedUart::new(
        chip.UART0,
        chip.PIN_0,
        chip.PIN_1,
        Interrupts,
        TO_SEND,
        RECEIVED,
        uart::Config::default(),
    );
    let counters = CycleCounter::new(core.DCB, core.DWT, clocks::clk_sys_freq() / 1_000_000);
    let flash = Flash::<_, Blocking, FLASH_BYTES>::new_blocking(chip.FLASH);
    // SAFETY: the chip maps its flash there, and the peripheral exists once.
    let flash = unsafe { MappedFlash::new(flash, FLASH_START, FLASH_BYTES) };
    let config = BoardConfig::new("pico2", Layout::pair(SLOTS, SLOT_BYTES));
    #[cfg(feature = "signing")]
    let config = config.with_key(env!("QDLLM_PUBLIC_KEY"));
    serve::on_chip(&config, port, flash, counters, MEMORY)
}

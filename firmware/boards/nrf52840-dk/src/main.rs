#![doc = include_str!("../README.md")]
#![no_std]
#![no_main]

use core::panic::PanicInfo;
use cortex_m::peripheral::SCB;
use cortex_m_rt::entry;
use embassy_futures::block_on;
use embassy_nrf::buffered_uarte::{self, BufferedUarte};
use embassy_nrf::nvmc::Nvmc;
use embassy_nrf::{bind_interrupts, config, peripherals, uarte};
use embedded_io::{ErrorType, Read, Write};
use qdllm_app::{About, End, Layout, Memory, run};
use qdllm_chips::cycles::CycleMeter;
use qdllm_chips::mapped::Mapped;
use qdllm_runtime::Scratch;

/// Where the slots lie, as in memory.x.
const SLOTS: u32 = 0x8_0000;
const SLOT_BYTES: u32 = 256 << 10;

/// Bytes that the port keeps while the board erases flash.
const RECEIVE_BYTES: usize = 2048;

/// The core's clock.
const CORE_MHZ: u32 = 64;

bind_interrupts!(struct Interrupts {
    UARTE0 => buffered_uarte::InterruptHandler<peripherals::UARTE0>;
});

/// The port to the board's debugger, which shows it as a serial port.
struct Port(BufferedUarte<'static>);

#[entry]
#[allow(unsafe_code)]
fn main() -> ! {
    static mut MEMORY: Memory<Scratch> = Memory::new(Scratch::new());
    static mut RECEIVED: [u8; RECEIVE_BYTES] = [0; RECEIVE_BYTES];
    static mut TO_SEND: [u8; 64] = [0; 64];
    let Some(core) = cortex_m::Peripherals::take() else { SCB::sys_reset() };
    let mut settings = config::Config::default();
    settings.hfclk_source = config::HfclkSource::ExternalXtal;
    let chip = embassy_nrf::init(settings);
    // 115200 baud, 8 data bits, no parity, one stop bit.
    let mut port = Port(BufferedUarte::new(
        chip.UARTE0,
        chip.TIMER0,
        chip.PPI_CH0,
        chip.PPI_CH1,
        chip.PPI_GROUP0,
        chip.P0_08,
        chip.P0_06,
        Interrupts,
        uarte::Config::default(),
        RECEIVED,
        TO_SEND,
    ));
    let mut meter = CycleMeter::new(core.DCB, core.DWT, CORE_MHZ);
    // SAFETY: the chip maps its flash from address 0 on, and the peripheral exists once.
    let mut flash = unsafe { Mapped::new(Nvmc::new(chip.NVMC), 0) };
    let about = About::new("nrf52840-dk", Layout::pair(SLOTS, SLOT_BYTES))
        .with_ahead_bytes(RECEIVE_BYTES as u16);
    loop {
        // A port that reports an error, such as a wrong stop bit, is simply served again.
        if let Ok(ended) = run(&mut port, &mut flash, &mut meter, MEMORY, &about)
            && ended.by == End::Reset
        {
            SCB::sys_reset()
        }
    }
}

impl ErrorType for Port {
    type Error = buffered_uarte::Error;
}

impl Read for Port {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Self::Error> {
        block_on(self.0.read(buffer))
    }
}

impl Write for Port {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, Self::Error> {
        block_on(self.0.write(bytes))
    }

    fn flush(&mut self) -> Result<(), Self::Error> {
        block_on(self.0.flush())
    }
}

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    SCB::sys_reset()
}

//! What boards with Nordic's nRF52 share: the clock, the port to their debugger, the flash.
//!
//! Which chip it is, the board's own dependency on the HAL crate says.
#![allow(unsafe_code)]

use crate::counters::CycleCounter;
use crate::mapped_flash::MappedFlash;
use crate::serve;
use cortex_m::peripheral::SCB;
use embassy_futures::block_on;
use embassy_nrf::buffered_uarte::{self, BufferedUarte, InterruptHandler};
use embassy_nrf::gpio::AnyPin;
use embassy_nrf::nvmc::{self, Nvmc};
use embassy_nrf::{bind_interrupts, config, init, peripherals, uarte};
use embedded_io::{ErrorType, Read, Write};
use qdllm_app::{BoardConfig, Engine, Memory};

/// Bytes that the port keeps while the board erases flash.
const RECEIVE_BYTES: usize = 2048;

const CORE_MHZ: u32 = 64;

bind_interrupts!(struct Interrupts {
    UARTE0 => InterruptHandler<peripherals::UARTE0>;
});

/// The port to the board's debugger, which shows it as a serial port.
struct Port(BufferedUarte<'static>);

static mut RECEIVED: [u8; RECEIVE_BYTES] = [0; RECEIVE_BYTES];
static mut TO_SEND: [u8; 64] = [0; 64];

/// Runs the firmware on a board. Its debugger sends to the first of `pins` and receives from the second, each 32
/// times the port and the number in it; the slots lie where memory.x has them.
pub fn serve<E: Engine>(config: BoardConfig, [from, to]: [u8; 2], memory: &mut Memory<E>) -> ! {
    let Some(core) = cortex_m::Peripherals::take() else { SCB::sys_reset() };
    let mut settings = config::Config::default();
    settings.hfclk_source = config::HfclkSource::ExternalXtal;
    let chip = init(settings);
    // SAFETY: nothing else uses pins: all that `init` gave stays here.
    let (from, to) = unsafe { (AnyPin::steal(from), AnyPin::steal(to)) };
    let (received, to_send) = (&raw mut RECEIVED, &raw mut TO_SEND);
    // SAFETY: the core's peripherals were there to take, so this is the only time.
    let (received, to_send) = unsafe { (&mut *received, &mut *to_send) };
    // 115200 baud, 8 data bits, no parity, one stop bit.
    let port = Port(BufferedUarte::new(
        chip.UARTE0,
        chip.TIMER0,
        chip.PPI_CH0,
        chip.PPI_CH1,
        chip.PPI_GROUP0,
        from,
        to,
        Interrupts,
        uarte::Config::default(),
        received,
        to_send,
    ));
    let counters = CycleCounter::new(core.DCB, core.DWT, CORE_MHZ);
    // SAFETY: the chip maps its flash from address 0 on, and the peripheral exists once.
    let flash = unsafe { MappedFlash::new(Nvmc::new(chip.NVMC), 0, nvmc::FLASH_SIZE) };
    let config = BoardConfig { ahead_bytes: RECEIVE_BYTES as u16, ..config };
    serve::on_chip(&config, port, flash, counters, memory)
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

#![doc = include_str!("../README.md")]
#![no_std]
#![no_main]

use core::panic::PanicInfo;
use cortex_m::peripheral::SCB;
use cortex_m_rt::entry;
use embedded_io::{ErrorKind, ErrorType, Read, Write};
use qdllm_app::{About, End, Layout, Memory, run};
use qdllm_chips::cycles::CycleMeter;
use qdllm_chips::mapped::Mapped;
use qdllm_runtime::Scratch;
use stm32f4xx_hal::flash::{FlashExt, LockedFlash};
use stm32f4xx_hal::pac::{self, USART2};
use stm32f4xx_hal::prelude::*;
use stm32f4xx_hal::rcc;
use stm32f4xx_hal::serial::{Config, Serial};

/// Where flash is mapped.
const FLASH_START: usize = 0x0800_0000;

/// Where the slots lie in it, as in memory.x: sectors 6 and 7.
const SLOTS: u32 = 256 << 10;
const SLOT_BYTES: u32 = 128 << 10;

/// The core's clock.
const CORE_MHZ: u32 = 168;

/// The port to the board's debugger, which shows it as a serial port. It keeps no bytes while the board
/// is busy.
struct Port(Serial<USART2>);

#[entry]
#[allow(unsafe_code)]
fn main() -> ! {
    static mut MEMORY: Memory<Scratch> = Memory::new(Scratch::new());
    let (Some(core), Some(chip)) = (cortex_m::Peripherals::take(), pac::Peripherals::take()) else {
        SCB::sys_reset()
    };
    let mut clocks = chip.RCC.freeze(rcc::Config::hsi().sysclk(CORE_MHZ.MHz()));
    let pins = chip.GPIOA.split(&mut clocks);
    let speed = Config::default().baudrate(115_200.bps());
    let Ok(serial) = Serial::new(chip.USART2, (pins.pa2, pins.pa3), speed, &mut clocks) else {
        SCB::sys_reset()
    };
    let mut port = Port(serial);
    let mut meter = CycleMeter::new(core.DCB, core.DWT, CORE_MHZ);
    let mut flash = LockedFlash::new(chip.FLASH);
    // SAFETY: the chip maps its flash there, and the peripheral exists once.
    let mut flash = unsafe { Mapped::new(flash.unlocked(), FLASH_START) };
    let about = About::new("nucleo-f446", Layout::pair(SLOTS, SLOT_BYTES));
    loop {
        // A port that reports an error, such as a lost byte, is simply served again.
        if let Ok(ended) = run(&mut port, &mut flash, &mut meter, MEMORY, &about)
            && ended.by == End::Reset
        {
            SCB::sys_reset()
        }
    }
}

impl ErrorType for Port {
    type Error = ErrorKind;
}

impl Read for Port {
    /// Waits for one byte.
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, ErrorKind> {
        let Some(first) = buffer.first_mut() else { return Ok(0) };
        *first = nb::block!(self.0.read()).map_err(|_| ErrorKind::Other)?;
        Ok(1)
    }
}

impl Write for Port {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, ErrorKind> {
        for &byte in bytes {
            nb::block!(self.0.write(byte)).map_err(|_| ErrorKind::Other)?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> Result<(), ErrorKind> {
        nb::block!(self.0.flush()).map_err(|_| ErrorKind::Other)
    }
}

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    SCB::sys_reset()
}

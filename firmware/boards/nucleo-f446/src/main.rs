#![doc = include_str!("../README.md")]
#![no_std]
#![no_main]

mod flash;
mod uart;

use cortex_m::peripheral::SCB;
use cortex_m_rt::entry;
use flash::{BYTES, START, Slots};
use qdllm_app::{BoardConfig, Memory};
use qdllm_chips::counters::CycleCounter;
use qdllm_chips::mapped_flash::MappedFlash;
use qdllm_chips::serve;
use qdllm_runtime::Scratch;
use stm32f4xx_hal::pac;
use stm32f4xx_hal::prelude::*;
use stm32f4xx_hal::rcc::{self, Enable};
use stm32f4xx_hal::serial::{Config, Serial};
use uart::{AHEAD_BYTES, Port};

const CORE_MHZ: u32 = 168;

#[entry]
#[allow(unsafe_code)]
fn main() -> ! {
    static mut MEMORY: Memory<Scratch> = Memory::new(Scratch::new());
    let (Some(core), Some(chip)) = (cortex_m::Peripherals::take(), pac::Peripherals::take()) else {
        SCB::sys_reset()
    };
    let mut clocks = chip.RCC.freeze(rcc::Config::hsi().sysclk(CORE_MHZ.MHz()));
    pac::DMA1::enable(&mut clocks);
    let pins = chip.GPIOA.split(&mut clocks);
    let speed = Config::default().baudrate(115_200.bps());
    let Ok(serial) = Serial::new(chip.USART2, (pins.pa2, pins.pa3), speed, &mut clocks) else {
        SCB::sys_reset()
    };
    let counters = CycleCounter::new(core.DCB, core.DWT, CORE_MHZ);
    // SAFETY: the chip maps its flash there, and the peripheral exists once.
    let flash = unsafe { MappedFlash::new(Slots(chip.FLASH), START, BYTES) };
    let config = BoardConfig::new("nucleo-f446", flash.layout());
    #[cfg(feature = "signing")]
    let config = config.with_key(env!("QDLLM_PUBLIC_KEY"));
    let config = BoardConfig { ahead_bytes: AHEAD_BYTES, ..config };
    serve::on_chip(&config, Port::new(serial, chip.DMA1), flash, counters, MEMORY)
}

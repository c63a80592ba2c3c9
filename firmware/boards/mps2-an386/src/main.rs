#![doc = include_str!("../README.md")]
#![no_std]
#![no_main]

use core::panic::PanicInfo;
use cortex_m_rt::{ExceptionFrame, entry, exception};
use qdllm_app::{Memory, refuse, serve};
use qdllm_chips::stop::{self, EXIT_NO_PERIPHERALS};
use qdllm_chips::{memory::model_region, systick::SysTickMeter};
use qdllm_runtime::Model;

/// The board's first serial port.
type Uart = qdllm_chips::cmsdk::Uart<0x4000_4000>;

#[entry]
fn main() -> ! {
    static mut MEMORY: Memory = Memory::new();
    let mut uart = Uart::start();
    let Some(peripherals) = cortex_m::Peripherals::take() else {
        stop::exit(EXIT_NO_PERIPHERALS);
    };
    let mut meter = SysTickMeter::new(peripherals.SYST);
    match Model::from_region(model_region()) {
        Ok(model) => {
            let Ok(()) = serve(&model, MEMORY, &mut uart, &mut meter);
            stop::exit(0)
        }
        Err(error) => {
            let Ok(()) = refuse(&mut uart, error as u8, error);
            stop::exit(error as u8)
        }
    }
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    stop::panicked(&mut Uart::start(), info)
}

#[allow(unsafe_code)]
#[exception]
unsafe fn HardFault(_: &ExceptionFrame) -> ! {
    stop::faulted(&mut Uart::start())
}

#![doc = include_str!("../README.md")]
#![no_std]
#![no_main]

use cortex_m_rt::entry;
use qdllm_app::{Memory, refuse, serve};
use qdllm_board::hardware::{exit, model_region};
use qdllm_board::meter::SysTickMeter;
use qdllm_board::uart::Uart;
use qdllm_runtime::Model;

/// The core's peripherals were taken twice, which the start-up code rules out.
const EXIT_NO_PERIPHERALS: u8 = 120;

#[entry]
fn main() -> ! {
    static mut MEMORY: Memory = Memory::new();
    let mut uart = Uart::start();
    let Some(peripherals) = cortex_m::Peripherals::take() else {
        exit(EXIT_NO_PERIPHERALS);
    };
    let mut meter = SysTickMeter::new(peripherals.SYST);
    match Model::from_region(model_region()) {
        Ok(model) => {
            let Ok(()) = serve(&model, MEMORY, &mut uart, &mut meter);
            exit(0)
        }
        Err(error) => {
            let Ok(()) = refuse(&mut uart, error as u8, error);
            exit(error as u8)
        }
    }
}

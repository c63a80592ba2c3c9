#![doc = include_str!("../README.md")]
#![no_std]
#![no_main]

use cortex_m_rt::entry;
use qdllm_app::{About, Layout, Memory, ReadOnly, run};
use qdllm_board::hardware::{exit, model_region};
use qdllm_board::meter::SysTickMeter;
use qdllm_board::uart::Uart;
use qdllm_runtime::Scratch;

/// The core's peripherals were taken twice, which the start-up code rules out.
const EXIT_NO_PERIPHERALS: u8 = 120;

#[entry]
fn main() -> ! {
    static mut MEMORY: Memory<Scratch> = Memory::new(Scratch::new());
    let mut uart = Uart::start();
    let Some(peripherals) = cortex_m::Peripherals::take() else {
        exit(EXIT_NO_PERIPHERALS);
    };
    let mut meter = SysTickMeter::new(peripherals.SYST);
    let region = model_region();
    let about = About::new("mps2-an386", Layout::single(region.len() as u32));
    let Ok(ended) = run(&mut uart, &mut ReadOnly(region), &mut meter, MEMORY, &about);
    exit(ended.fault.map_or(0, |fault| fault.number()))
}

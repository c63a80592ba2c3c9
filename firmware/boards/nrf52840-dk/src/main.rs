#![doc = include_str!("../README.md")]
#![no_std]
#![no_main]

use cortex_m_rt::entry;
use qdllm_app::{BoardConfig, Layout, Memory};
use qdllm_chips::nrf52;
use qdllm_runtime::Scratch;

/// Where the slots lie, as in memory.x.
const SLOTS: u32 = 0x8_0000;
const SLOT_BYTES: u32 = 256 << 10;

/// The pins that the board's debugger sends to and receives from.
const PINS: [u8; 2] = [8, 6];

#[entry]
fn main() -> ! {
    static mut MEMORY: Memory<Scratch> = Memory::new(Scratch::new());
    let slots = Layout::pair(SLOTS, SLOT_BYTES);
    let config = BoardConfig::new("nrf52840-dk", slots);
    #[cfg(feature = "signing")]
    let config = config.with_key(env!("QDLLM_PUBLIC_KEY"));
    nrf52::serve(config, PINS, MEMORY)
}

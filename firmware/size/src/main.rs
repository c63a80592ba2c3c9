//! The app around hardware that the compiler knows nothing about and an engine that is none. What it
//! links is console, protocol, slots, the check of a model file, and the start-up code.
//!
//! ```text
//! cd firmware
//! cargo build --release -p qdllm-size --target thumbv7em-none-eabihf \
//!     --config 'profile.release.opt-level="s"' [--features signing]
//! size target/thumbv7em-none-eabihf/release/qdllm-size
//! ```
#![no_std]
#![no_main]

use core::convert::Infallible;
use core::hint::black_box;
use core::panic::PanicInfo;
use cortex_m_rt::entry;
use embedded_io::{Read, Write};
use embedded_storage::nor_flash::{ErrorType, NorFlash, NorFlashErrorKind, ReadNorFlash};
use qdllm_app::{BoardConfig, Counters, Engine, Layout, Memory, SlotFlash, run};
use qdllm_link::Fault;
use qdllm_runtime::{Error, Model, Prediction};

/// A port, a flash and a counter of which nothing is known.
struct Unknown;

impl embedded_io::ErrorType for Unknown {
    type Error = Infallible;
}

impl Read for Unknown {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Infallible> {
        black_box(buffer);
        Ok(black_box(1))
    }
}

impl Write for Unknown {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, Infallible> {
        Ok(black_box(bytes).len())
    }

    fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}

impl ErrorType for Unknown {
    type Error = NorFlashErrorKind;
}

impl ReadNorFlash for Unknown {
    const READ_SIZE: usize = 1;

    fn read(&mut self, _: u32, bytes: &mut [u8]) -> Result<(), NorFlashErrorKind> {
        black_box(bytes);
        black_box(Ok(()))
    }

    fn capacity(&self) -> usize {
        black_box(0)
    }
}

impl NorFlash for Unknown {
    const WRITE_SIZE: usize = 4;
    const ERASE_SIZE: usize = 4096;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), NorFlashErrorKind> {
        black_box((from, to));
        black_box(Ok(()))
    }

    fn write(&mut self, at: u32, bytes: &[u8]) -> Result<(), NorFlashErrorKind> {
        black_box((at, bytes));
        black_box(Ok(()))
    }
}

impl SlotFlash<'static> for Unknown {
    fn map(&self, offset: u32, length: usize) -> &'static [u8] {
        black_box((offset, length));
        black_box(&[])
    }
}

impl Counters for Unknown {
    fn start(&mut self) {
        black_box(());
    }

    fn instructions(&mut self) -> u64 {
        black_box(0)
    }

    fn cycles(&mut self) -> u64 {
        black_box(0)
    }

    fn microseconds(&mut self) -> u64 {
        black_box(0)
    }

    fn stack_bytes(&self) -> usize {
        black_box(0)
    }

    fn static_bytes(&self) -> usize {
        black_box(0)
    }
}

impl Engine for Unknown {
    const NAME: &'static str = "none";

    fn check(&self, _: &Model<'_>) -> Result<(), Fault> {
        black_box(Ok(()))
    }

    fn classify<'s>(&'s mut self, _: &Model<'_>, text: &str) -> Result<Prediction<'s>, Error> {
        black_box(text);
        black_box(Err(Error::NoBackEnd))
    }
}

/// All RAM, in a static as on a board.
#[entry]
fn main() -> ! {
    static mut MEMORY: Memory<Unknown> = Memory::new(Unknown);
    let config = BoardConfig::new("size", Layout::pair(0, 0x10000));
    #[cfg(feature = "signing")]
    let config = BoardConfig { key: Some(black_box([0; 32])), ..config };
    loop {
        let done = run(&mut Unknown, &mut Unknown, &mut Unknown, MEMORY, black_box(&config));
        let _ = black_box(done);
    }
}

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    loop {
        black_box(());
    }
}

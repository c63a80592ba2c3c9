#![doc = include_str!("../README.md")]
#![no_std]
#![no_main]

mod flash;

use core::panic::PanicInfo;
use embedded_io::{ErrorKind, ErrorType, Read, Write};
use esp_hal::clock::CpuClock;
use esp_hal::system::software_reset;
use esp_hal::time::Instant;
use esp_hal::uart::{Config, Uart};
use esp_hal::{Blocking, Config as ChipConfig, main};
use esp_storage::FlashStorage;
use qdllm_app::{BoardConfig, Counters, End, Memory, run};

esp_bootloader_esp_idf::esp_app_desc!();

/// UART0, which the board's USB bridge shows as a serial port. It keeps 128 bytes while the core is
/// busy.
struct Port(Uart<'static, Blocking>);

/// The timer of the system; the core has no counter that every revision offers alike.
struct TimerCounter(Instant);

#[main]
fn main() -> ! {
    let chip = esp_hal::init(ChipConfig::default().with_cpu_clock(CpuClock::max()));
    // 115200 baud, 8 data bits, no parity, one stop bit.
    let Ok(uart) = Uart::new(chip.UART0, Config::default()) else { software_reset() };
    let mut port = Port(uart.with_rx(chip.GPIO20).with_tx(chip.GPIO21));
    let Some((mut flash, memory)) = flash::take(FlashStorage::new(chip.FLASH)) else {
        software_reset()
    };
    let mut counters = TimerCounter(Instant::now());
    let config = BoardConfig::new("esp32-c3", flash.layout());
    #[cfg(feature = "signing")]
    let config = config.with_key(env!("QDLLM_PUBLIC_KEY"));
    loop {
        // A port that reports an error, such as a wrong stop bit, is simply served again.
        if let Ok(ended) = run(&mut port, &mut flash, &mut counters, memory, &config)
            && ended.by == End::Reset
        {
            software_reset()
        }
    }
}

impl ErrorType for Port {
    type Error = ErrorKind;
}

impl Read for Port {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, ErrorKind> {
        self.0.read(buffer).map_err(|_| ErrorKind::Other)
    }
}

impl Write for Port {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, ErrorKind> {
        self.0.write(bytes).map_err(|_| ErrorKind::Other)
    }

    fn flush(&mut self) -> Result<(), ErrorKind> {
        self.0.flush().map_err(|_| ErrorKind::Other)
    }
}

impl Counters for TimerCounter {
    fn start(&mut self) {
        self.0 = Instant::now();
    }

    fn microseconds(&mut self) -> u64 {
        self.0.elapsed().as_micros()
    }

    fn static_bytes(&self) -> usize {
        size_of::<Memory<qdllm_runtime::ScratchI16>>() + flash::BYTES
    }
}

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    software_reset()
}

//! UART0 of the board (Arm's CMSDK APB UART), polled.

use crate::hardware::{UART0, read_register, write_register};
use core::convert::Infallible;
use embedded_io::{ErrorType, Read, Write};

/// Offsets of the registers.
const DATA: usize = 0x00;
const STATE: usize = 0x04;
const CONTROL: usize = 0x08;
const DIVIDER: usize = 0x10;

/// Bits of `STATE`.
const TRANSMIT_FULL: u32 = 1;
const RECEIVE_FULL: u32 = 1 << 1;

/// Bits of `CONTROL`: transmitter and receiver on.
const ENABLE: u32 = 0b11;

/// The smallest divider the UART accepts; QEMU does not slow down for it.
const FASTEST: u32 = 16;

/// The board's first serial port.
pub struct Uart;

impl Uart {
    /// Switches the port on.
    pub fn start() -> Self {
        write_register(UART0 + DIVIDER, FASTEST);
        write_register(UART0 + CONTROL, ENABLE);
        Self
    }
}

impl ErrorType for Uart {
    type Error = Infallible;
}

impl Read for Uart {
    /// Waits for one byte.
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Infallible> {
        let Some(first) = buffer.first_mut() else {
            return Ok(0);
        };
        while read_register(UART0 + STATE) & RECEIVE_FULL == 0 {}
        // The data register holds one byte.
        *first = read_register(UART0 + DATA) as u8;
        Ok(1)
    }
}

impl Write for Uart {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, Infallible> {
        for &byte in bytes {
            while read_register(UART0 + STATE) & TRANSMIT_FULL != 0 {}
            write_register(UART0 + DATA, byte.into());
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> Result<(), Infallible> {
        while read_register(UART0 + STATE) & TRANSMIT_FULL != 0 {}
        Ok(())
    }
}

//! Arm's CMSDK APB UART, as on the MPS2 boards; the core sleeps while nothing arrives.

use crate::register::{read, sleep_until, write};
use core::convert::Infallible;
use embedded_io::{ErrorType, Read, ReadReady, Write};

const DATA: usize = 0x00;
const STATE: usize = 0x04;
const CONTROL: usize = 0x08;
const INTERRUPTS: usize = 0x0c;
const DIVIDER: usize = 0x10;

const TRANSMIT_FULL: u32 = 1;
const RECEIVE_FULL: u32 = 1 << 1;

/// Bits of `CONTROL`: transmitter and receiver on, an interrupt for each byte received.
const ENABLE: u32 = 0b1011;

/// The bit of `INTERRUPTS` that says so; writing it takes it back.
const RECEIVED: u32 = 1 << 1;

/// The smallest divider the UART accepts; QEMU does not slow down for it.
const FASTEST: u32 = 16;

/// One port, by the address of its registers and the number of its receiver's interrupt.
pub struct Uart<const BASE: usize, const INTERRUPT: usize>;

impl<const BASE: usize, const INTERRUPT: usize> Uart<BASE, INTERRUPT> {
    pub fn start() -> Self {
        write(BASE + DIVIDER, FASTEST);
        write(BASE + CONTROL, ENABLE);
        Self
    }
}

impl<const BASE: usize, const INTERRUPT: usize> ErrorType for Uart<BASE, INTERRUPT> {
    type Error = Infallible;
}

impl<const BASE: usize, const INTERRUPT: usize> ReadReady for Uart<BASE, INTERRUPT> {
    fn read_ready(&mut self) -> Result<bool, Infallible> {
        Ok(read(BASE + STATE) & RECEIVE_FULL != 0)
    }
}

impl<const BASE: usize, const INTERRUPT: usize> Read for Uart<BASE, INTERRUPT> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Infallible> {
        let Some(first) = buffer.first_mut() else {
            return Ok(0);
        };
        sleep_until(INTERRUPT, || read(BASE + STATE) & RECEIVE_FULL != 0);
        // The data register holds one byte.
        *first = read(BASE + DATA) as u8;
        // After it was read: a byte that came meanwhile shows in the state, the next one interrupts.
        write(BASE + INTERRUPTS, RECEIVED);
        Ok(1)
    }
}

impl<const BASE: usize, const INTERRUPT: usize> Write for Uart<BASE, INTERRUPT> {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, Infallible> {
        for &byte in bytes {
            while read(BASE + STATE) & TRANSMIT_FULL != 0 {}
            write(BASE + DATA, byte.into());
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> Result<(), Infallible> {
        while read(BASE + STATE) & TRANSMIT_FULL != 0 {}
        Ok(())
    }
}

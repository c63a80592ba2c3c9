//! Arm's PL011 UART, as on the Stellaris LM3S6965, polled.

use crate::register::{read, write};
use core::convert::Infallible;
use embedded_io::{ErrorType, Read, ReadReady, Write};

/// Offsets of the registers.
const DATA: usize = 0x00;
const FLAGS: usize = 0x18;
const CONTROL: usize = 0x30;

/// Bits of `FLAGS`.
const RECEIVE_EMPTY: u32 = 1 << 4;
const TRANSMIT_FULL: u32 = 1 << 5;
const BUSY: u32 = 1 << 3;

/// Bits of `CONTROL`: UART, transmitter and receiver on.
const ENABLE: u32 = 0x301;

/// One port, by the address of its registers.
pub struct Uart<const BASE: usize>;

impl<const BASE: usize> Uart<BASE> {
    /// Switches the port on; its clock must be running.
    pub fn start() -> Self {
        write(BASE + CONTROL, ENABLE);
        Self
    }
}

/// Lets the clock run of the peripheral that `bit` of the register at `gate` stands for.
pub fn clock(gate: usize, bit: u32) {
    write(gate, read(gate) | bit);
}

impl<const BASE: usize> ErrorType for Uart<BASE> {
    type Error = Infallible;
}

impl<const BASE: usize> ReadReady for Uart<BASE> {
    fn read_ready(&mut self) -> Result<bool, Infallible> {
        Ok(read(BASE + FLAGS) & RECEIVE_EMPTY == 0)
    }
}

impl<const BASE: usize> Read for Uart<BASE> {
    /// Waits for one byte.
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Infallible> {
        let Some(first) = buffer.first_mut() else {
            return Ok(0);
        };
        while read(BASE + FLAGS) & RECEIVE_EMPTY != 0 {}
        // The lowest 8 bits are the byte; those above it are flags of errors on the line.
        *first = read(BASE + DATA) as u8;
        Ok(1)
    }
}

impl<const BASE: usize> Write for Uart<BASE> {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, Infallible> {
        for &byte in bytes {
            while read(BASE + FLAGS) & TRANSMIT_FULL != 0 {}
            write(BASE + DATA, byte.into());
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> Result<(), Infallible> {
        while read(BASE + FLAGS) & BUSY != 0 {}
        Ok(())
    }
}

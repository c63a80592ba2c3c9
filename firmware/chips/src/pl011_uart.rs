//! Arm's PL011 UART, as on the Stellaris LM3S6965; the core sleeps while nothing arrives.

use crate::register::{read, sleep_until, write};
use core::convert::Infallible;
use embedded_io::{ErrorType, Read, ReadReady, Write};

const DATA: usize = 0x00;
const FLAGS: usize = 0x18;
const LINE: usize = 0x2c;
const CONTROL: usize = 0x30;
const FIFO_LEVEL: usize = 0x34;
const INTERRUPTS: usize = 0x38;

const RECEIVE_EMPTY: u32 = 1 << 4;
const TRANSMIT_FULL: u32 = 1 << 5;
const BUSY: u32 = 1 << 3;

/// Bits of `LINE`: 8 bits, FIFOs of 16 bytes on.
const EIGHT_BITS_AND_FIFO: u32 = 0x70;

/// Bits of `INTERRUPTS`: bytes received, as many as `FIFO_LEVEL` 0 says, or fewer that nothing follows.
const RECEIVED: u32 = 1 << 4 | 1 << 6;

/// Bits of `CONTROL`: UART, transmitter and receiver on.
const ENABLE: u32 = 0x301;

/// One port, by the address of its registers and the number of its interrupt.
pub struct Uart<const BASE: usize, const INTERRUPT: usize>;

impl<const BASE: usize, const INTERRUPT: usize> Uart<BASE, INTERRUPT> {
    /// Switches the port on; its clock must be running.
    pub fn start() -> Self {
        write(BASE + LINE, EIGHT_BITS_AND_FIFO);
        write(BASE + FIFO_LEVEL, 0);
        write(BASE + INTERRUPTS, RECEIVED);
        write(BASE + CONTROL, ENABLE);
        Self
    }
}

/// Lets the clock run of the peripheral that `bit` of the register at `gate` stands for.
pub fn clock(gate: usize, bit: u32) {
    write(gate, read(gate) | bit);
}

impl<const BASE: usize, const INTERRUPT: usize> ErrorType for Uart<BASE, INTERRUPT> {
    type Error = Infallible;
}

impl<const BASE: usize, const INTERRUPT: usize> ReadReady for Uart<BASE, INTERRUPT> {
    fn read_ready(&mut self) -> Result<bool, Infallible> {
        Ok(read(BASE + FLAGS) & RECEIVE_EMPTY == 0)
    }
}

impl<const BASE: usize, const INTERRUPT: usize> Read for Uart<BASE, INTERRUPT> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Infallible> {
        let Some(first) = buffer.first_mut() else {
            return Ok(0);
        };
        sleep_until(INTERRUPT, || read(BASE + FLAGS) & RECEIVE_EMPTY == 0);
        // The lowest 8 bits are the byte; those above it are flags of errors on the line.
        *first = read(BASE + DATA) as u8;
        Ok(1)
    }
}

impl<const BASE: usize, const INTERRUPT: usize> Write for Uart<BASE, INTERRUPT> {
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

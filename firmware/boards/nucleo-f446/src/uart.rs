//! The serial port: the DMA controller writes what arrives round and round into RAM, whatever the core
//! does meanwhile. While flash is erased, for a second, the core stands still.
#![allow(unsafe_code)]

use embedded_io::{ErrorKind, ErrorType, Read, Write};
use stm32f4xx_hal::pac::{DMA1, USART2};
use stm32f4xx_hal::prelude::*;
use stm32f4xx_hal::serial::Serial;

/// Bytes of the ring, and how far a sender may run ahead: room stays for the frame that is being read.
const RING_BYTES: usize = 16 << 10;
pub const AHEAD_BYTES: u16 = 12 << 10;

/// The stream and the channel that carry what USART2 receives.
const STREAM: usize = 5;
const CHANNEL: u8 = 4;

static mut RING: [u8; RING_BYTES] = [0; RING_BYTES];

/// The port to the board's debugger, which shows it as a serial port.
pub struct Port {
    serial: Serial<USART2>,
    dma: DMA1,
    next: usize,
}

impl Port {
    /// Lets the controller, whose clock must be running, receive what comes over `serial`.
    pub fn new(serial: Serial<USART2>, dma: DMA1) -> Self {
        let stream = dma.st(STREAM);
        let ring = (&raw mut RING).expose_provenance();
        // SAFETY: the registers' own numbers. The ring is a static that only the controller writes, and
        // `dma` exists once, so that nobody else sends it elsewhere.
        unsafe {
            let port = &*USART2::ptr();
            stream.par().write(|w| w.pa().bits(port.dr().as_ptr().expose_provenance() as u32));
            stream.m0ar().write(|w| w.m0a().bits(ring as u32));
            stream.ndtr().write(|w| w.ndt().bits(RING_BYTES as u16));
            stream.cr().write(|w| w.chsel().bits(CHANNEL).minc().set_bit().circ().set_bit());
            stream.cr().modify(|_, w| w.en().set_bit());
            port.cr3().modify(|_, w| w.dmar().set_bit());
        }
        Self { serial, dma, next: 0 }
    }

    fn written(&self) -> usize {
        let left = self.dma.st(STREAM).ndtr().read().ndt().bits();
        (RING_BYTES - usize::from(left)) % RING_BYTES
    }
}

impl ErrorType for Port {
    type Error = ErrorKind;
}

impl Read for Port {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, ErrorKind> {
        let Some(first) = buffer.first_mut() else { return Ok(0) };
        while self.written() == self.next {}
        // SAFETY: inside the ring; the controller is past this byte and not yet round to it again.
        *first = unsafe { (&raw const RING).cast::<u8>().wrapping_add(self.next).read_volatile() };
        self.next = (self.next + 1) % RING_BYTES;
        Ok(1)
    }
}

impl Write for Port {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, ErrorKind> {
        for &byte in bytes {
            nb::block!(self.serial.write(byte)).map_err(|_| ErrorKind::Other)?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> Result<(), ErrorKind> {
        nb::block!(self.serial.flush()).map_err(|_| ErrorKind::Other)
    }
}

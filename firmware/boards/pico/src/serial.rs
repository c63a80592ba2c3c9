//! USB-CDC and UART0 as one port: bytes come from either, answers go to the one that spoke last.

use core::convert::Infallible;
use embedded_io::{ErrorType, Read, Write};
use rp2040_hal::Timer;
use rp2040_hal::gpio::bank0::{Gpio0, Gpio1};
use rp2040_hal::gpio::{FunctionUart, Pin, PullDown};
use rp2040_hal::pac::UART0;
use rp2040_hal::uart::{Enabled, UartPeripheral};
use rp2040_hal::usb::UsbBus;
use usb_device::device::{UsbDevice, UsbDeviceState};
use usbd_serial::SerialPort;

/// A host that takes nothing for so long does not listen: what was to be sent is dropped.
const PATIENCE_US: u64 = 500_000;
/// A host asks for input every millisecond; the UART sends what its buffer holds in 3 ms.
const SETTLE_US: u64 = 20_000;

/// UART0 on GPIO 0 (out) and 1 (in).
pub type Uart0 = UartPeripheral<
    Enabled,
    UART0,
    (Pin<Gpio0, FunctionUart, PullDown>, Pin<Gpio1, FunctionUart, PullDown>),
>;

pub struct SerialPorts<'b> {
    pub usb: UsbDevice<'b, UsbBus>,
    pub serial: SerialPort<'b, UsbBus>,
    pub uart: Uart0,
    pub timer: Timer,
    /// Where answers go: to the UART until USB speaks.
    pub over_usb: bool,
}

impl SerialPorts<'_> {
    /// Serves USB and looks for one byte on both ports.
    fn poll(&mut self) -> Option<u8> {
        self.usb.poll(&mut [&mut self.serial]);
        let mut byte = 0;
        if let Ok(1) = self.serial.read(core::slice::from_mut(&mut byte)) {
            self.over_usb = true;
            return Some(byte);
        }
        // Noise on the line costs the byte that it hit, and the protocol notices.
        if !matches!(self.uart.read_raw(core::slice::from_mut(&mut byte)), Ok(1)) {
            return None;
        }
        self.over_usb = false;
        Some(byte)
    }

    fn connected(&self) -> bool {
        self.usb.state() == UsbDeviceState::Configured
    }

    fn now_us(&self) -> u64 {
        self.timer.get_counter().ticks()
    }

    /// Gives the last answer time to leave: over USB it lies in the endpoint until the host fetches it, and a reset
    /// would lose it.
    pub fn settle(&mut self) {
        let since = self.now_us();
        while self.now_us() - since < SETTLE_US {
            self.usb.poll(&mut [&mut self.serial]);
        }
    }
}

impl ErrorType for SerialPorts<'_> {
    type Error = Infallible;
}

impl Read for SerialPorts<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Infallible> {
        let Some(first) = buffer.first_mut() else {
            return Ok(0);
        };
        loop {
            if let Some(byte) = self.poll() {
                *first = byte;
                return Ok(1);
            }
        }
    }
}

impl Write for SerialPorts<'_> {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, Infallible> {
        if !self.over_usb {
            self.uart.write_full_blocking(bytes);
            return Ok(bytes.len());
        }
        let since = self.now_us();
        while self.connected() && self.now_us() - since < PATIENCE_US {
            if let Ok(sent @ 1..) = self.serial.write(bytes) {
                return Ok(sent);
            }
            self.usb.poll(&mut [&mut self.serial]);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> Result<(), Infallible> {
        let since = self.now_us();
        while self.over_usb && self.connected() && self.now_us() - since < PATIENCE_US {
            if self.serial.flush().is_ok() {
                break;
            }
            self.usb.poll(&mut [&mut self.serial]);
        }
        Ok(())
    }
}

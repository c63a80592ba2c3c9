//! UARTs of the emulated boards, of two kinds by Arm; the core sleeps while nothing arrives. An emulator that runs a core
//! in circles has little time left to bring it bytes: every look at a register keeps the emulator's own thread out.
#![allow(unsafe_code)]

use core::convert::Infallible;
use core::marker::PhantomData;
use cortex_m::asm::wfi;
use cortex_m::interrupt;
use embedded_io::{ErrorType, Read, Write};

/// A kind of UART. Its data register, which holds one byte, comes first.
pub trait Kind {
    /// The register that says how far sending and receiving are.
    const STATE: usize;
    /// Bits of the state while there is no room for a byte, and while bytes are being sent.
    const TRANSMIT_FULL: u32;
    const SENDING: u32;

    /// Switches on the port whose registers begin at `base`.
    fn start(base: usize);

    /// Takes the interrupt of a byte back, after it was read.
    fn taken(_base: usize) {}

    /// Whether a byte has arrived.
    fn received(state: u32) -> bool;
}

/// Arm's CMSDK APB UART, as on the MPS2 boards.
pub struct Cmsdk;

impl Kind for Cmsdk {
    const STATE: usize = 0x04;
    const TRANSMIT_FULL: u32 = 1;
    const SENDING: u32 = Self::TRANSMIT_FULL;

    /// The smallest divider that the UART accepts - QEMU does not slow down for it -; then transmitter and receiver on,
    /// with an interrupt for each byte received.
    fn start(base: usize) {
        write(base + 0x10, 16);
        write(base + 0x08, 0b1011);
    }

    /// A byte that came since the last one was read shows in the state, the next one interrupts.
    fn taken(base: usize) {
        write(base + 0x0c, 1 << 1);
    }

    fn received(state: u32) -> bool {
        state & (1 << 1) != 0
    }
}

/// Arm's PL011 UART, as on the Stellaris LM3S6965; the port's clock must be running.
pub struct Pl011;

impl Kind for Pl011 {
    const STATE: usize = 0x18;
    const TRANSMIT_FULL: u32 = 1 << 5;
    const SENDING: u32 = 1 << 3;

    /// 8 bits, FIFOs of 16 bytes on; interrupts for bytes received, as many as the FIFO's level 0 says, or fewer that
    /// nothing follows; then UART, transmitter and receiver on.
    fn start(base: usize) {
        write(base + 0x2c, 0x70);
        write(base + 0x34, 0);
        write(base + 0x38, 1 << 4 | 1 << 6);
        write(base + 0x30, 0x301);
    }

    fn received(state: u32) -> bool {
        state & (1 << 4) == 0
    }
}

/// One port, by the address of its registers and the number of its receiver's interrupt.
pub struct Uart<K, const BASE: usize, const INTERRUPT: usize>(PhantomData<K>);

impl<K: Kind, const BASE: usize, const INTERRUPT: usize> Uart<K, BASE, INTERRUPT> {
    pub fn start() -> Self {
        K::start(BASE);
        Self(PhantomData)
    }

    fn state() -> u32 {
        read(BASE + K::STATE)
    }
}

impl<K, const BASE: usize, const INTERRUPT: usize> ErrorType for Uart<K, BASE, INTERRUPT> {
    type Error = Infallible;
}

impl<K: Kind, const BASE: usize, const INTERRUPT: usize> Read for Uart<K, BASE, INTERRUPT> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Infallible> {
        let Some(first) = buffer.first_mut() else {
            return Ok(0);
        };
        sleep_until(INTERRUPT, || K::received(Self::state()));
        // The lowest 8 bits are the byte; a PL011 has flags of errors on the line above them.
        *first = read(BASE) as u8;
        K::taken(BASE);
        Ok(1)
    }
}

impl<K: Kind, const BASE: usize, const INTERRUPT: usize> Write for Uart<K, BASE, INTERRUPT> {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, Infallible> {
        for &byte in bytes {
            while Self::state() & K::TRANSMIT_FULL != 0 {}
            write(BASE, byte.into());
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> Result<(), Infallible> {
        while Self::state() & K::SENDING != 0 {}
        Ok(())
    }
}

/// Lets the clock run of the peripheral that `bit` of the register at `gate` stands for.
pub fn clock(gate: usize, bit: u32) {
    write(gate, read(gate) | bit);
}

/// Reads the register at `address`, which must be one that the board maps.
fn read(address: usize) -> u32 {
    // SAFETY: the drivers of this crate pass addresses inside a peripheral that their board always
    // maps; reading its registers touches no memory of the program.
    unsafe { (address as *const u32).read_volatile() }
}

fn write(address: usize, value: u32) {
    // SAFETY: as above; none of these peripherals writes memory either.
    unsafe { (address as *mut u32).write_volatile(value) }
}

/// The interrupt controller's registers that enable, disable and unpend interrupt 0 to 31; the word of
/// those that follow is the next.
const ENABLE: usize = 0xe000_e100;
const DISABLE: usize = 0xe000_e180;
const UNPEND: usize = 0xe000_e280;

/// Sleeps until `ready`. Interrupt `number` wakes the core and is never taken: it is enabled only while
/// the core takes none. Others, such as the timer's, are taken between two sleeps.
fn sleep_until(number: usize, ready: impl Fn() -> bool) {
    let (word, bit) = (4 * (number / 32), 1 << (number % 32));
    while !ready() {
        interrupt::free(|_| {
            write(ENABLE + word, bit);
            // What arrived since the last look keeps the core awake: it is pending by now.
            if !ready() {
                wfi();
            }
            write(DISABLE + word, bit);
            write(UNPEND + word, bit);
        });
    }
}

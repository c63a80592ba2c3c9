//! The emulated board itself: registers and memory map, serial port, instruction counter.
#![no_std]

pub mod hardware;
pub mod meter;
pub mod uart;

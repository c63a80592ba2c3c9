#![doc = include_str!("../README.md")]
#![no_std]

pub mod counters;
#[cfg(feature = "app")]
pub mod emulated_flash;
pub mod exit;
#[cfg(feature = "app")]
pub mod mapped_flash;
pub mod memory;
#[cfg(feature = "nrf")]
pub mod nrf52;
#[cfg(feature = "app")]
pub mod serve;
pub mod uart;

#![doc = include_str!("../README.md")]
#![no_std]

#[cfg(target_arch = "arm")]
pub mod counters;
#[cfg(all(feature = "app", target_arch = "arm"))]
pub mod emulated_flash;
#[cfg(target_arch = "arm")]
pub mod exit;
#[cfg(feature = "app")]
pub mod mapped_flash;
#[cfg(target_arch = "arm")]
pub mod memory;
#[cfg(feature = "nrf")]
pub mod nrf52;
#[cfg(all(feature = "app", target_arch = "arm"))]
pub mod serve;
#[cfg(target_arch = "arm")]
pub mod uart;

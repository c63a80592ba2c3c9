#![doc = include_str!("../README.md")]
#![no_std]

pub mod cmsdk_uart;
pub mod counters;
#[cfg(feature = "app")]
pub mod emulated_flash;
pub mod exit;
#[cfg(feature = "app")]
pub mod mapped_flash;
pub mod memory;
#[cfg(feature = "nrf")]
pub mod nrf52;
pub mod pl011_uart;
mod register;
#[cfg(feature = "app")]
pub mod serve;

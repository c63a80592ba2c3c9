#![doc = include_str!("../README.md")]
#![no_std]

pub mod cmsdk_uart;
// A Cortex-M0 has no such counter.
#[cfg(all(feature = "app", not(armv6m)))]
pub mod cycle_counter;
pub mod exit;
pub mod instruction_counter;
#[cfg(feature = "app")]
pub mod mapped_flash;
pub mod memory;
#[cfg(feature = "nrf")]
pub mod nrf52;
pub mod pl011_uart;
#[cfg(feature = "app")]
pub mod ram_flash;
mod register;
#[cfg(feature = "app")]
pub mod semihosting_flash;
#[cfg(feature = "app")]
pub mod serve;
mod sleep;

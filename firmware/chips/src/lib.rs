#![doc = include_str!("../README.md")]
#![no_std]

pub mod cmsdk_uart;
// A Cortex-M0 has no such counter. Nor has it atomic exchanges, by which the compiler knows it.
#[cfg(all(feature = "app", target_has_atomic = "32"))]
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

#![doc = include_str!("../README.md")]
#![no_std]

pub mod cmsdk;
/// Not on a Cortex-M0, which has no such counter.
#[cfg(all(feature = "app", not(armv6m)))]
pub mod cycles;
#[cfg(feature = "app")]
pub mod device;
#[cfg(feature = "app")]
pub mod emulated;
#[cfg(feature = "app")]
pub mod kept;
#[cfg(feature = "app")]
pub mod mapped;
pub mod memory;
#[cfg(feature = "app")]
pub mod nor;
#[cfg(feature = "nrf")]
pub mod nrf;
pub mod pl011;
mod register;
mod sleep;
pub mod stop;
pub mod systick;

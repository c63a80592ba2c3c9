#![doc = include_str!("../README.md")]
#![no_std]

pub mod cmsdk;
#[cfg(feature = "app")]
pub mod emulated;
#[cfg(feature = "app")]
pub mod kept;
pub mod memory;
#[cfg(feature = "app")]
pub mod nor;
pub mod pl011;
mod register;
pub mod stop;
pub mod systick;

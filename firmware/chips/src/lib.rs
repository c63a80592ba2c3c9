#![doc = include_str!("../README.md")]
#![no_std]

pub mod cmsdk;
pub mod memory;
pub mod nor;
pub mod pl011;
mod register;
pub mod stop;
pub mod systick;

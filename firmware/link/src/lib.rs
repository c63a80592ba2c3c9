#![doc = include_str!("../README.md")]
#![no_std]
#![warn(missing_docs)]

mod fault;
pub mod frame;
pub mod message;
pub mod slot;

pub use fault::Fault;

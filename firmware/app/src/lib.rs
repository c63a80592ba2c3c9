#![doc = include_str!("../README.md")]
#![no_std]
#![warn(missing_docs)]

mod about;
mod answer;
mod boot;
mod console;
mod engine;
mod flash;
mod input;
mod memory;
mod meter;
#[cfg(feature = "_mock")]
pub mod mock;
mod protocol;
mod put;
mod run;
#[cfg(feature = "signing")]
mod signature;
mod slots;
mod switch;

pub use about::{About, PROBE};
pub use engine::Engine;
#[cfg(feature = "polynomial")]
pub use engine::Polynomial;
#[cfg(feature = "tensor-train")]
pub use engine::TensorTrain;
pub use flash::{Layout, NotWritable, ReadOnly, SlotFlash};
pub use memory::Memory;
pub use meter::Meter;
pub use run::{End, Ended, run};

/// The longest typed line that is accepted, in bytes without its end.
pub const LINE_BYTES: usize = 1024;

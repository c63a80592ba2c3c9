#![doc = include_str!("../README.md")]
#![no_std]

mod answer;
mod line;
mod meter;
mod serve;

pub use answer::refuse;
pub use line::{LINE_BYTES, Line, LineBuffer};
pub use meter::Meter;
pub use serve::{Memory, serve};

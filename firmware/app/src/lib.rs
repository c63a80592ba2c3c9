#![doc = include_str!("../README.md")]
#![no_std]
#![warn(missing_docs)]

mod activation;
mod board_config;
mod boot;
mod console;
mod counters;
mod engine;
mod flash;
mod input;
mod line_writer;
mod memory;
#[cfg(feature = "_mock")]
pub mod mock;
mod protocol;
mod run;
#[cfg(feature = "signing")]
mod signature;
mod slots;
mod transfer;

pub use board_config::{BoardConfig, PROBE};
pub use counters::Counters;
pub use engine::Engine;
#[cfg(feature = "polynomial")]
pub use engine::Polynomial;
#[cfg(feature = "tensor-train")]
pub use engine::TensorTrain;
pub use flash::{Layout, NotWritable, ReadOnly, SlotFlash};
pub use memory::Memory;
pub use qdllm_link::Fault;
pub use run::{End, Ended, run};

/// The longest typed line that is accepted, in bytes without its end.
pub const LINE_BYTES: usize = 1024;

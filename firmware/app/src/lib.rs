#![doc = include_str!("../README.md")]
#![no_std]
#![warn(missing_docs)]

mod app;
mod board;
mod boot;
mod console;
mod engine;
mod input;
mod line_writer;
#[cfg(feature = "_mock")]
pub mod mock;
mod protocol;
mod run;
mod slots;
mod transfer;

pub use app::End;
pub use board::{BoardConfig, Counters, Layout, PROBE, ReadOnly, SlotFlash};
pub use engine::Engine;
#[cfg(feature = "polynomial")]
pub use engine::Polynomial;
#[cfg(feature = "tensor-train")]
pub use engine::TensorTrain;
pub use qdllm_link::Fault;
pub use run::{Ended, Memory, run};

/// The longest typed line that is accepted, in bytes without its end.
pub const LINE_BYTES: usize = 1024;

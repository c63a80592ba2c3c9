//! What the project's own commands share with its tests of emulated boards: where things are, how
//! firmware is built, booted and asked.

pub mod answer;
pub mod emulator;
pub mod repo;
pub mod setup;
pub mod shell;

pub use qdllm_host::boards;

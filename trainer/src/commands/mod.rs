//! The commands of `qdllm`, one a file.

pub mod controls;

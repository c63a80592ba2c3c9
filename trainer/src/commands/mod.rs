//! The commands of `qdllm`, one a file.

pub mod progress;
#[cfg(feature = "teacher")]
pub mod teach;

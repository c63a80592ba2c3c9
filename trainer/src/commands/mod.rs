//! The commands of `qdllm`, one a file.

#[cfg(feature = "teacher")]
pub mod teach;

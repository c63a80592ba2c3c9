//! Weights by name, from safetensors files or a GGUF file.

pub mod gguf;
pub mod safetensors;

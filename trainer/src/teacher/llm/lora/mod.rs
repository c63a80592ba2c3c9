//! LoRA adapters in PEFT's layout: merged into a model as it is loaded, or trained.

pub mod adamw;
pub mod adapter;
pub mod checkpoint;
pub mod train;

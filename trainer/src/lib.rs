#![doc = include_str!("../README.md")]

pub mod batch_inference;
pub mod cli;
pub mod commands;
pub mod compile;
pub mod controls;
pub mod data;
pub mod explain;
pub mod gradient;
pub mod metrics;
pub mod model_file;
pub mod numeric;
pub mod options;

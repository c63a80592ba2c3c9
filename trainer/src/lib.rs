#![doc = include_str!("../README.md")]

pub mod commands;
pub mod data;
pub mod draws;
pub mod metrics;
pub mod soft;
#[cfg(feature = "teacher")]
pub mod teacher;

#![doc = include_str!("../README.md")]

pub mod commands;
pub mod controls;
pub mod data;
pub mod metrics;
pub mod soft;

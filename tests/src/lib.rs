#![doc = include_str!("../README.md")]

pub mod plain;
pub mod vectors;

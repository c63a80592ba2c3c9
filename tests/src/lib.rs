#![doc = include_str!("../README.md")]

pub mod board;
pub mod plain;
pub mod sample;
pub mod vectors;

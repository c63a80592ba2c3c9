#![doc = include_str!("../README.md")]

pub mod adjoint;
pub mod board;
pub mod plain;
pub mod sample;

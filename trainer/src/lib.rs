#![doc = include_str!("../README.md")]

pub mod adjoint;
pub mod lanes;
pub mod seed;

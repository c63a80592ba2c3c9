#![doc = include_str!("../README.md")]

pub mod adam;
pub mod adjoint;
pub mod lanes;
pub mod loss;
pub mod seed;
pub mod student;

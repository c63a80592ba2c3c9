#![doc = include_str!("../README.md")]

pub mod adam;
pub mod adjoint;
pub mod corpus;
pub mod data;
pub mod draws;
pub mod encoded;
pub mod lanes;
pub mod loss;
pub mod metrics;
pub mod progress;
pub mod seed;
pub mod select;
pub mod soft;
pub mod student;

#![doc = include_str!("../README.md")]

#[cfg(feature = "teacher")]
pub mod teacher;

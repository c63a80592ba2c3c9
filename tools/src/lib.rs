#![doc = include_str!("../README.md")]

pub mod board;
pub mod circuit;
pub mod cli;
pub mod commands;
pub mod draw;
pub mod image;
pub mod keys;
pub mod matrix;
pub mod noise;
pub mod processor;
pub mod quafu;
pub mod readout;
pub mod simulate;
pub mod statevector;
pub mod texts;
pub mod transpile;

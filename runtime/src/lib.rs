#![doc = include_str!("../README.md")]
#![no_std]

#[cfg(feature = "alloc")]
extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

#[cfg(feature = "alloc")]
mod affine;
pub mod angles;
pub mod circuit;
#[cfg(feature = "alloc")]
pub mod encode;
mod error;
#[cfg(feature = "alloc")]
mod expr;
pub mod features;
pub mod format;
#[cfg(feature = "alloc")]
pub mod fuse;
pub mod gate;
mod head;
pub mod kernels;
pub mod linear;
pub mod math;
pub mod meta;
mod model;
mod opening;
#[cfg(feature = "polynomial")]
pub mod polynomial;
pub mod program;
#[cfg(feature = "alloc")]
pub mod qasm;
mod read;
pub mod state;
pub mod table;
pub mod token;
pub mod turns;
pub mod vocab;

pub use circuit::QUBITS;
pub use error::Error;
pub use head::{Head, Prediction, Top};
pub use model::{MAX_CLASSES, Model, Scratch};

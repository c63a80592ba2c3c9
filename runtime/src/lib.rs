#![doc = include_str!("../README.md")]
#![no_std]
#![warn(missing_docs)]

#[cfg(feature = "alloc")]
extern crate alloc;
#[cfg(any(feature = "std", test))]
extern crate std;

#[cfg(feature = "alloc")]
mod affine;
pub mod angles;
pub mod circuit;
#[cfg(feature = "statevector")]
mod classify;
#[cfg(any(feature = "statevector-i16", feature = "polynomial", feature = "tensor-train"))]
mod classify_fixed;
#[cfg(feature = "alloc")]
pub mod encode;
mod error;
#[cfg(feature = "alloc")]
mod expr;
pub mod features;
pub mod fixed;
pub mod format;
mod front;
#[cfg(feature = "alloc")]
pub mod fuse;
pub mod gate;
mod head;
pub mod kernels;
pub mod linear;
pub mod math;
pub mod measured;
pub mod meta;
mod model;
mod opening;
mod permute;
#[cfg(feature = "polynomial")]
pub mod polynomial;
pub mod program;
#[cfg(feature = "alloc")]
pub mod qasm;
mod read;
pub mod signed;
pub mod state;
#[cfg(feature = "statevector-i16")]
pub mod state_i16;
pub mod table;
pub mod token;
#[cfg(feature = "tensor-train")]
pub mod train;
pub mod turns;
pub mod vocab;
mod wire;

pub use circuit::QUBITS;
#[cfg(feature = "statevector")]
pub use classify::Scratch;
#[cfg(any(feature = "statevector-i16", feature = "polynomial", feature = "tensor-train"))]
pub use classify_fixed::Probabilities;
#[cfg(feature = "statevector-i16")]
pub use classify_fixed::ScratchI16;
pub use error::Error;
pub use head::{Head, Prediction, Top};
pub use model::{MAX_CLASSES, Model};

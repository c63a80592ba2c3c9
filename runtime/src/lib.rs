#![doc = include_str!("../README.md")]
#![no_std]
#![warn(missing_docs)]

#[cfg(feature = "alloc")]
extern crate alloc;
#[cfg(any(feature = "std", test))]
extern crate std;

pub mod angles;
pub mod circuit;
pub mod compiled;
mod error;
pub mod format;
mod head;
mod integer;
pub mod math;
mod model;
pub mod state;
pub mod text;

pub use circuit::QUBITS;
pub use error::Error;
pub use head::{Head, Prediction};
#[cfg(feature = "_integer")]
pub use model::Probabilities;
#[cfg(feature = "statevector")]
pub use model::Scratch;
#[cfg(feature = "statevector-i16")]
pub use model::ScratchI16;
pub use model::{MAX_CLASSES, Model};

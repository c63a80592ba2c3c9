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
pub mod head;
mod integer;
pub mod math;
mod model;
mod reject;
pub mod state;
pub mod text;

pub use circuit::QUBITS;
pub use error::Error;
pub use format::meta::{MAX_CLASSES, USUAL_CLASSES};
pub use head::{Head, Prediction};
pub use model::Model;
#[cfg(feature = "_integer")]
pub use model::{Probabilities, ProbabilitiesFor};
#[cfg(feature = "statevector")]
pub use model::{Scratch, ScratchFor};
#[cfg(feature = "statevector-i16")]
pub use model::{ScratchI16, ScratchI16For};
pub use reject::{EVIDENCE, Evidence, Found, Rejection};

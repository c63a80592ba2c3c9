//! The statevector and all that is done to it: preparation, rotations, diagonals, index maps, expectations.

mod execute;
mod expectation;
pub mod f32;
#[cfg(feature = "statevector-i16")]
pub mod i16;
pub mod kernels;
mod preparation;
pub mod rotations;

pub use self::f32::{DIM, StateVector};
#[cfg(feature = "statevector-i16")]
pub use self::i16::StateI16;

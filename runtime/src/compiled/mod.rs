//! Back ends that a host compiles from the trained circuit: no statevector is needed to run them.

pub mod measured;
#[cfg(feature = "polynomial")]
pub mod polynomial;
#[cfg(feature = "tensor-train")]
pub mod tensor_train;

//! Gradients of the circuit: the adjoint method in the runtime's own kernels as reference, and many samples at once.

pub mod adjoint;
pub mod batch;
pub mod benchmark;

//! What a processor's noise does to a compiled circuit: counts by trajectories.
//!
//! The model: each gate is followed by a depolarising channel on its qubits, every qubit relaxes and
//! loses coherence from its first gate to the measurement, idle or not, and every bit is misread
//! independently. [`model`] holds the figures and turns them into channels, [`timeline`] puts them
//! on a time line, [`sampler`] draws shots. Not in the model: cross-talk, leakage, coherent errors,
//! drift.

pub mod model;
pub mod sampler;
pub mod timeline;
mod trajectory;

pub use model::{CouplerNoise, NoiseModel, Overrides, QubitNoise};
pub use sampler::{Sampler, SamplerError};

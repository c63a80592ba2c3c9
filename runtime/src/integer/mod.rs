//! Arithmetic of chips without a floating-point unit: everything between the integer row table and the
//! probabilities in integers, bit for bit the same on every target.
//!
//! A phase is a `u32` of which 2^32 make one turn, so that wrapping is exact. "Q24" means an `i32` of
//! which 2^24 make 1. `f32` values of a model file are taken apart by their bits; no operation here is a
//! floating-point one.

mod exp;
pub(crate) mod float;
mod phases;
pub(crate) mod rounding;
pub(crate) mod sine;
mod softmax;

pub use exp::{exp2_q30, inverse, inverse_root, tanh_q30};
pub use float::{Inverse, from_q30, half_phase, to_fixed};
pub use phases::{features_q24, phases, phases_of_f32};
pub use sine::{sin_cos, sin_cos_q15};
pub use softmax::softmax_q16;

//! The tensor train back end: logits as a product of small matrices, one a qubit, compiled from the
//! trained circuit.
//!
//! Every logit is multilinear in `(1, cos, sin)` of each angle. The tensor of its coefficients is cut
//! into a chain of cores, one a qubit, with a node somewhere in it whose free leg is the class. A
//! vector is carried from either end of the chain towards the node: a core takes each entry times 1,
//! cosine and sine to the entries of the next bond. The basis of each bond is chosen such that as many
//! rows of its core as the bond is wide are unit rows, which need neither storage nor arithmetic.
//!
//! `f32` cores run in `f32`, `i16` and `i8` cores in integers only.

mod contract;
mod sites;

pub use contract::Work;
#[cfg(feature = "alloc")]
pub use sites::{Chain, Link, section};
pub use sites::{Cores, MAX_BOND, Site, Sites, TensorTrain};

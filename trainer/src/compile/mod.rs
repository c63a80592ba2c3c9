//! Compiles a trained model's circuit to smaller ways of running it, and measures what they cost.
//!
//! Every expectation is multilinear in (1, cos, sin) of each encoder angle. [`coefficients`] holds the
//! `3^n` numbers that say how; [`polynomial`] keeps the most telling of them, [`tensor_train`] factors them
//! into a chain of small cores. Half of the texts are fitted, a quarter chooses how much is kept, and the
//! share of equal decisions is reported on the last quarter ([`agreement`]).

pub mod agreement;
pub mod coefficients;
pub mod error;
pub mod evaluate;
pub mod monomial_tree;
pub mod polynomial;
pub mod statevector_i16;
pub mod task;
pub mod tensor_train;

pub use error::{CompileError, LEAST_TEXTS};
pub use task::{Compiled, Task, circuit_of};

//! Two-qubit blocks taken whole: what happens on one pair of qubits is one matrix, made again from
//! the fewest CZ.
//!
//! Any block takes at most 3 CZ ([`kak`]); at most 2 where one qubit is still |0> or where only the
//! measurement follows, at most 1 where both are still |0> ([`initial_state`], [`synthesis`]). [`merge`] finds the
//! blocks in a circuit of one-qubit matrices and CZ. Facts: Vatan and Williams 2004, Shende, Bullock
//! and Markov 2004; every result is multiplied out and compared before it is used.

pub mod initial_state;
pub mod kak;
pub mod matrix4;
pub mod merge;
pub mod synthesis;

use crate::matrix::Matrix;

/// A circuit of one-qubit matrices and CZ.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Element {
    /// A matrix on a qubit.
    One(u8, Matrix),
    /// CZ.
    Cz(u8, u8),
}

/// CZs of a list.
pub fn cz_count(elements: &[Element]) -> usize {
    elements.iter().filter(|e| matches!(e, Element::Cz(..))).count()
}

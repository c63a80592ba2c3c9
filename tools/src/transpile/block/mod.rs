//! Two-qubit blocks taken whole: what happens on one pair of qubits is one matrix, made again from
//! the fewest CZ.
//!
//! Any block takes at most 3 CZ ([`kak`]); at most 2 where one qubit is still |0> or where only the
//! measurement follows, at most 1 where both are still |0> ([`initial_state`], [`synthesis`]). [`merge`] finds the
//! blocks in a circuit of one-qubit matrices and CZ. Facts: Vatan and Williams 2004, Shende, Bullock
//! and Markov 2004; every result is multiplied out and compared before it is used.

pub mod initial_state;
pub mod kak;
pub mod merge;
pub mod synthesis;

use crate::matrix::{Matrix, Matrix4};
use num_complex::Complex64 as C;

/// A circuit of one-qubit matrices and CZ.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Element {
    One(u8, Matrix),
    Cz(u8, u8),
}

pub fn cz_count(elements: &[Element]) -> usize {
    elements.iter().filter(|e| matches!(e, Element::Cz(..))).count()
}

/// What elements on qubits 0 and 1 do together.
pub fn matrix_of(elements: &[Element]) -> Matrix4 {
    let identity = Matrix4::diagonal([C::new(1.0, 0.0); 4]);
    elements.iter().fold(identity, |mut m, element| match element {
        Element::One(0, one) => m.then(&Matrix4::pair(one, &Matrix::IDENTITY)),
        Element::One(_, one) => m.then(&Matrix4::pair(&Matrix::IDENTITY, one)),
        Element::Cz(..) => {
            m.0[3].iter_mut().for_each(|x| *x = -*x);
            m
        }
    })
}

//! Exact structural rewrites, found from the circuit: what remains is less to execute and gives the
//! same outputs.
//!
//! [`measurement`] takes what stands before the read-out without effect, [`mixture`] replaces qubits that
//! stay Z-diagonal by classical bits, [`phase_folding`] puts ZZ phases where their parity already stands on a
//! wire, [`product_state`] finds ZZ phases onto qubits still in a product state.

pub mod measurement;
pub mod mixture;
pub mod phase_folding;
pub mod product_state;

use crate::transpile::ir::Step;
use qdllm_runtime::circuit::affine::Affine;

#[derive(Clone, Debug, PartialEq)]
pub struct Branch {
    /// Its weight: the product over `(angle, one)` of `sin^2(angle/2)` if `one`, else `cos^2(angle/2)`.
    pub weight: Vec<(Affine, bool)>,
    pub steps: Vec<Step>,
    /// Z words read at the end: (mask of qubits, negated).
    pub outputs: Vec<(u16, bool)>,
}

impl Branch {
    pub fn weight(&self, inputs: &[f64]) -> f64 {
        let factor = |(angle, one): &(Affine, bool)| {
            let (sin, cos) = (angle.value(inputs) / 2.0).sin_cos();
            if *one { sin * sin } else { cos * cos }
        };
        self.weight.iter().map(factor).product()
    }

    /// CZs that the steps take with every qubit coupled to every other.
    pub fn cost(&self) -> usize {
        self.steps.iter().map(Step::cost).sum()
    }
}

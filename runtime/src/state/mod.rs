//! The statevector and all that is done to it: preparation, rotations, diagonals, index maps, expectations.

pub mod f32;
#[cfg(feature = "statevector-i16")]
pub mod i16;
pub mod kernels;
mod preparation;
pub mod rotations;

pub use self::f32::{DIM, StateVector};
#[cfg(feature = "statevector-i16")]
pub use self::i16::StateI16;

use crate::circuit::program::{Op, Program};
use crate::math::{Scalar, Value};
use kernels::Diagonal;
use rotations::Rotations;

impl Program<'_> {
    /// Runs the circuit on encoder angles (radians, one a qubit) and writes one expectation an
    /// output into `expectations`; both slices may be longer. The state is used up.
    pub fn run<V: Value>(
        &self,
        state: &mut StateVector<V>,
        angles_rad: &[V],
        expectations: &mut [V],
    ) {
        let mut ops = self.ops();
        state.prepare(angles_rad.get(..self.qubits()).unwrap_or(angles_rad), &mut ops);
        let mut rotations = Rotations::NONE;
        // What the state must still be multiplied by.
        let mut scale = V::Scalar::ONE;
        for op in ops {
            match op {
                Op::Phases(terms) => {
                    scale = scale * state.rotate(&mut rotations);
                    let terms = terms.map(|(mask, angle)| (mask, V::Scalar::from_f32(angle)));
                    state.diagonal(&Diagonal::new(terms, V::Scalar::ONE));
                }
                Op::Ry(qubit, angle) => {
                    let (sin, cos) = (V::Scalar::from_f32(angle) * V::Scalar::HALF).sin_cos();
                    if !rotations.add(qubit as usize, cos, sin) {
                        scale = scale * state.rotate(&mut rotations);
                        if !rotations.add(qubit as usize, cos, sin) {
                            state.ry(qubit as usize, cos, sin);
                        }
                    }
                }
                Op::IndexMap(map) => {
                    scale = scale * state.rotate(&mut rotations);
                    state.map_indices(&map);
                }
            }
            // Eleven turns shrink it by at most 16^11 more, and squares must stay within `f32`.
            if scale * scale < V::Scalar::from_f32(1e-8) {
                state.scale(scale);
                scale = V::Scalar::ONE;
            }
        }
        scale = scale * state.rotate(&mut rotations);
        state.expectations(self.words(), scale * scale, expectations);
    }
}

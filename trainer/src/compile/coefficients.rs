//! The coefficients of every logit by (1, cos, sin) of every encoder angle, in f64.
//!
//! The encoder leaves qubit `q` in the state `(1 + cos Z - sin Y) / 2`, so a logit `Tr(rho M)`, `M` its
//! observable carried back to before the circuit, has `Tr(P M) / 2^n` for coefficient of the monomial
//! with Pauli word `P`: Z where it has a cosine, -Y where a sine. A column of `M` is the circuit run
//! forwards and back on a basis state; all words with the same Ys come from one Walsh transform.

use super::agreement::circuit_of;
use crate::gradient::Bound;
use nalgebra::Matrix3;
use qdllm_runtime::Model;
use qdllm_runtime::circuit::fuse::Fused;
use qdllm_runtime::state::StateVector;
use qdllm_runtime::state::kernels::walsh;
use rayon::prelude::*;

#[derive(Clone, Debug)]
pub struct Coefficients {
    pub qubits: usize,
    /// Logits, each less the mean over classes.
    pub classes: usize,
    /// By monomial (base 3, digit of qubit `q` is 0 for 1, 1 for cosine, 2 for sine), one row a class.
    pub values: Vec<f64>,
}

#[derive(Clone, Debug)]
pub struct Combined {
    pub weights: Vec<f64>,
    pub bias: f64,
}

impl Coefficients {
    pub fn of(model: &Model<'_>) -> Self {
        let (head, classes) = (model.head(), model.classes());
        let less_mean = |of: &dyn Fn(usize) -> f32| -> Vec<f64> {
            let all: Vec<f64> = (0..classes).map(|c| f64::from(of(c))).collect();
            let mean = all.iter().sum::<f64>() / classes as f64;
            all.into_iter().map(|x| x - mean).collect()
        };
        let weights: Vec<Vec<f64>> =
            (0..model.program().outputs()).map(|o| less_mean(&|c| head.weight(c, o))).collect();
        let biases = less_mean(&|c| head.bias(c));
        let combined: Vec<Combined> = (biases.into_iter().enumerate())
            .map(|(c, bias)| Combined { weights: weights.iter().map(|w| w[c]).collect(), bias })
            .collect();
        Self::new(&circuit_of(model.program()), &[], &combined)
    }

    /// Of linear functions of a circuit's expectations, its parameters (radians) filled in.
    pub fn new(circuit: &Fused, parameters: &[f64], functions: &[Combined]) -> Self {
        let bound = Bound::<f64>::new(circuit, parameters);
        let (qubits, classes) = (bound.qubits, functions.len());
        let mut values = vec![0.0; 3_usize.pow(qubits as u32) * classes];
        let mut add = |class: usize, weight: f64, of: &[f64]| {
            let column = values.iter_mut().skip(class).step_by(classes);
            column.zip(of).for_each(|(to, x)| *to += weight * x);
        };
        // A combination of Z words as its values on the diagonal, carried back.
        let carried = |weight: &dyn Fn(usize) -> f64| {
            let mut diagonal = vec![0.0; 1 << qubits];
            for (o, &(mask, negated)) in circuit.outputs.iter().enumerate() {
                diagonal[mask as usize] += if negated { -weight(o) } else { weight(o) };
            }
            walsh(&mut diagonal);
            carried_back(&bound, &diagonal)
        };
        // Whichever are fewer: the functions or the expectations.
        if classes <= circuit.outputs.len() {
            for (class, function) in functions.iter().enumerate() {
                add(class, 1.0, &carried(&|o| function.weights[o]));
            }
        } else {
            for output in 0..circuit.outputs.len() {
                let of = carried(&|o| f64::from(u8::from(o == output)));
                functions.iter().enumerate().for_each(|(c, f)| add(c, f.weights[output], &of));
            }
        }
        values.iter_mut().zip(functions).for_each(|(x, function)| *x += function.bias);
        Self { qubits, classes, values }
    }

    pub fn monomials(&self) -> usize {
        self.values.len() / self.classes
    }

    /// Multiplies along qubit `q` by a matrix.
    pub fn along(&mut self, q: usize, matrix: &Matrix3<f64>) {
        let step = 3_usize.pow(q as u32) * self.classes;
        for block in self.values.chunks_exact_mut(3 * step) {
            let (zero, rest) = block.split_at_mut(step);
            let (one, two) = rest.split_at_mut(step);
            for ((a, b), c) in zero.iter_mut().zip(one).zip(two) {
                let old = [*a, *b, *c];
                let new =
                    |i| matrix[(i, 0)] * old[0] + matrix[(i, 1)] * old[1] + matrix[(i, 2)] * old[2];
                [*a, *b, *c] = [0, 1, 2].map(new);
            }
        }
    }

    /// The row of a monomial: one number a class.
    pub fn row(&self, monomial: usize) -> &[f64] {
        &self.values[monomial * self.classes..][..self.classes]
    }
}

/// The digit of qubit `q` in a monomial: 0 for 1, 1 for cosine, 2 for sine.
pub fn digit(monomial: usize, q: usize) -> usize {
    monomial / 3_usize.pow(q as u32) % 3
}

fn carried_back(bound: &Bound<f64>, diagonal: &[f64]) -> Vec<f64> {
    let size = diagonal.len();
    // Row b: for each set y of sines the real part of i^|y| M[b ^ y, b].
    let mut parts = vec![0.0; size * size];
    parts.par_chunks_mut(size).enumerate().for_each_init(
        || Box::new(StateVector::<f64>::new()),
        |state, (b, row)| {
            state.start(&vec![0.0; bound.qubits]);
            let (re, _) = state.planes_mut();
            re.swap(0, b);
            bound.apply(state);
            let (re, im) = state.planes_mut();
            re.iter_mut().zip(im).zip(diagonal).for_each(|((re, im), weight)| {
                *re *= weight;
                *im *= weight;
            });
            bound.undo(state);
            let (re, im) = state.planes();
            for (y, part) in row.iter_mut().enumerate() {
                *part = match y.count_ones() % 4 {
                    0 => re[b ^ y],
                    1 => -im[b ^ y],
                    2 => -re[b ^ y],
                    _ => im[b ^ y],
                };
            }
        },
    );
    // A set of qubits as the monomial of their cosines.
    let cosines = |set: usize| -> usize {
        (0..bound.qubits).filter(|q| set >> q & 1 == 1).map(|q| 3_usize.pow(q as u32)).sum()
    };
    let threes: Vec<usize> = (0..size).map(cosines).collect();
    let mut values = vec![0.0; 3_usize.pow(bound.qubits as u32)];
    for y in 0..size {
        let mut by_set: Vec<f64> = parts.iter().skip(y).step_by(size).copied().collect();
        walsh(&mut by_set);
        for (set, x) in by_set.into_iter().enumerate().filter(|(set, _)| set & y == y) {
            values[threes[set] + threes[y]] = x / size as f64;
        }
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;
    use qdllm_runtime::circuit::encoder;
    use qdllm_runtime::circuit::gate::{Angle, Gate, GateKind};

    /// Three qubits, with sines of every number of angles.
    fn circuit() -> Fused {
        let gate = |kind, qubits, angle| Gate { kind, qubits, angles: [Angle::Const(angle); 3] };
        let gates = [
            gate(GateKind::Ry, [0, 0], 0.7),
            gate(GateKind::Cx, [0, 2], 0.0),
            gate(GateKind::Rzz, [1, 2], 1.9),
            gate(GateKind::U, [1, 1], -0.4),
            gate(GateKind::Cry, [2, 1], 2.2),
            gate(GateKind::X, [0, 0], 0.0),
            gate(GateKind::Rxx, [0, 1], 1.1),
        ];
        Fused::new(encoder(3).chain(gates), 3, &[0b001, 0b110]).unwrap()
    }

    fn logits(of: &Coefficients, angles: &[f64]) -> Vec<f64> {
        let factor = |m: usize| -> f64 {
            angles.iter().enumerate().map(|(q, a)| [1.0, a.cos(), a.sin()][digit(m, q)]).product()
        };
        (0..of.classes)
            .map(|c| (0..of.monomials()).map(|m| of.row(m)[c] * factor(m)).sum())
            .collect()
    }

    fn inputs() -> impl Iterator<Item = [f64; 3]> {
        (1..200).map(|i| [2.1, 3.7, 5.3].map(|x| (f64::from(i) * x).sin() * 4.0))
    }

    #[test]
    fn they_are_the_circuits_however_many_functions_there_are() {
        let (fused, bound) = (circuit(), Bound::<f64>::new(&circuit(), &[]));
        let all = [([0.5, -2.0], 0.25), ([1.0, 1.0], -3.0), ([0.0, 0.125], 0.0)]
            .map(|(weights, bias)| Combined { weights: weights.to_vec(), bias });
        for functions in [&all[..2], &all[..]] {
            let found = Coefficients::new(&fused, &[], functions);
            for angles in inputs() {
                let mut state = Box::new(StateVector::<f64>::new());
                state.start(&angles);
                bound.apply(&mut state);
                state.measure();
                let z = [0b001, 0b110].map(|word| state.expectation(word));
                for (logit, f) in logits(&found, &angles).iter().zip(functions) {
                    let exact = f.weights[0] * z[0] + f.weights[1] * z[1] + f.bias;
                    assert!((logit - exact).abs() < 1e-14, "{logit} {exact}");
                }
            }
        }
    }
}

//! Expectations of a fused circuit and their gradient by the adjoint method, through the runtime's
//! own kernels.
//!
//! With `|psi>` after the circuit and `|lambda> = O |psi>` for the weighted read-outs `O`, walking
//! both back gate by gate gives the derivative by a gate's angle as `2 Re <lambda| dU U^-1 |psi>`
//! (arXiv 2009.02823). All phases of a diagonal come from one Walsh transform.

use qdllm_runtime::circuit::affine::Affine;
use qdllm_runtime::circuit::fuse::{Fused, FusedOp};
use qdllm_runtime::circuit::index_map::IndexMap;
use qdllm_runtime::math::{Scalar, Value};
use qdllm_runtime::state::kernels::{Diagonal, walsh};
use qdllm_runtime::state::{DIM, StateVector};

/// A fused circuit with its angles filled in, ready to run forwards and backwards.
pub struct Bound<S> {
    qubits: usize,
    ops: Vec<BoundOp<S>>,
    outputs: Vec<(u16, bool)>,
}

enum BoundOp<S> {
    Phases { masks: Vec<u16>, forth: Box<Diagonal<S>>, back: Box<Diagonal<S>> },
    Ry { qubit: usize, cos: S, sin: S },
    IndexMap { forth: IndexMap, back: IndexMap },
}

/// Two states and a spare plane: the memory of one gradient.
pub struct Work<V> {
    psi: Box<StateVector<V>>,
    lambda: Box<StateVector<V>>,
    spare: Vec<V>,
}

impl<V: Value> Default for Work<V> {
    fn default() -> Self {
        // The compiler may build a state on the stack before it moves: 128 KiB with 8 lanes.
        Self {
            psi: Box::new(StateVector::new()),
            lambda: Box::new(StateVector::new()),
            spare: vec![V::ZERO; DIM],
        }
    }
}

#[derive(Clone, Debug)]
pub struct Gradient<V> {
    pub inputs: Vec<V>,
    /// By each angle of the fused circuit, in the order of its steps and terms.
    pub angles: Vec<V>,
}

impl<S: Scalar> Bound<S> {
    pub fn new(circuit: &Fused, parameters: &[f64]) -> Self {
        let angle = |a: &Affine| S::from_f64(a.value(parameters));
        let ops = circuit
            .ops
            .iter()
            .map(|op| match op {
                FusedOp::Phases(terms) => {
                    let diagonal = |sign| {
                        Box::new(Diagonal::new(terms.iter().map(|(m, a)| (*m, angle(a))), sign))
                    };
                    BoundOp::Phases {
                        masks: terms.iter().map(|(mask, _)| *mask).collect(),
                        forth: diagonal(S::ONE),
                        back: diagonal(-S::ONE),
                    }
                }
                FusedOp::Ry(qubit, a) => {
                    let (sin, cos) = (angle(a) * S::HALF).sin_cos();
                    BoundOp::Ry { qubit: *qubit as usize, cos, sin }
                }
                FusedOp::IndexMap(map) => BoundOp::IndexMap {
                    forth: *map,
                    // Maps of gates are invertible: they are products of CX, SWAP and X.
                    back: map.inverse().unwrap_or(IndexMap::IDENTITY),
                },
            })
            .collect();
        Self { qubits: circuit.qubits as usize, ops, outputs: circuit.outputs.clone() }
    }

    /// Expectations at encoder angles `inputs` (radians), one an output; keeps the state for
    /// [`gradient`](Self::gradient).
    pub fn expectations<V: Value<Scalar = S>>(&self, work: &mut Work<V>, inputs: &[V]) -> Vec<V> {
        let psi = &mut work.psi;
        psi.start(&inputs[..self.qubits]);
        self.apply(psi);
        work.lambda.clone_from(&work.psi);
        work.lambda.measure();
        let read = |&(mask, negated)| {
            let e = work.lambda.expectation(mask);
            if negated { -e } else { e }
        };
        self.outputs.iter().map(read).collect()
    }

    pub fn qubits(&self) -> usize {
        self.qubits
    }

    /// Applies the circuit that follows the encoder.
    pub fn apply<V: Value<Scalar = S>>(&self, state: &mut StateVector<V>) {
        for op in &self.ops {
            match op {
                BoundOp::Phases { forth, .. } => state.diagonal(forth),
                BoundOp::Ry { qubit, cos, sin } => state.ry(*qubit, *cos, *sin),
                BoundOp::IndexMap { forth, .. } => state.map_indices(forth),
            }
        }
    }

    pub fn undo<V: Value<Scalar = S>>(&self, state: &mut StateVector<V>) {
        for op in self.ops.iter().rev() {
            match op {
                BoundOp::Phases { back, .. } => state.diagonal(back),
                BoundOp::Ry { qubit, cos, sin } => state.ry(*qubit, *cos, -*sin),
                BoundOp::IndexMap { back, .. } => state.map_indices(back),
            }
        }
    }

    /// The vector-Jacobian product of `cotangent` (one an output) with the expectations that
    /// [`expectations`](Self::expectations) computed last in `work`.
    pub fn gradient<V: Value<Scalar = S>>(
        &self,
        work: &mut Work<V>,
        cotangent: &[V],
    ) -> Gradient<V> {
        self.observe(work, cotangent);
        let Work { psi, lambda, spare } = work;
        let mut reversed = Vec::new();
        for op in self.ops.iter().rev() {
            match op {
                BoundOp::Phases { masks, back, .. } => {
                    let walshed = phase_overlaps(psi, lambda, spare);
                    reversed.extend(masks.iter().rev().map(|&mask| walshed[mask as usize]));
                    psi.diagonal(back);
                    lambda.diagonal(back);
                }
                BoundOp::Ry { qubit, cos, sin } => {
                    reversed.push(turn_overlap(psi, lambda, *qubit));
                    psi.ry(*qubit, *cos, -*sin);
                    lambda.ry(*qubit, *cos, -*sin);
                }
                BoundOp::IndexMap { back, .. } => {
                    psi.map_indices(back);
                    lambda.map_indices(back);
                }
            }
        }
        reversed.reverse();
        let inputs = (0..self.qubits).map(|q| flip_overlap(psi, lambda, q)).collect();
        Gradient { inputs, angles: reversed }
    }

    /// `lambda = O psi`, `O` diagonal: the Walsh transform of the weights at their words.
    fn observe<V: Value<Scalar = S>>(&self, work: &mut Work<V>, cotangent: &[V]) {
        let Work { psi, lambda, spare } = work;
        let (re, im) = psi.planes();
        let weights = &mut spare[..re.len()];
        weights.fill(V::ZERO);
        for (&(mask, negated), &c) in self.outputs.iter().zip(cotangent) {
            let at = mask as usize;
            weights[at] = weights[at] + if negated { -c } else { c };
        }
        walsh(weights);
        let (lambda_re, lambda_im) = lambda.planes_mut();
        for (x, &w) in weights.iter().enumerate() {
            lambda_re[x] = re[x] * w;
            lambda_im[x] = im[x] * w;
        }
    }
}

/// `sum_x (-1)^parity(m & x) Im(conj(lambda_x) psi_x)` for every `m`.
fn phase_overlaps<'s, V: Value>(
    psi: &StateVector<V>,
    lambda: &StateVector<V>,
    spare: &'s mut [V],
) -> &'s [V] {
    let ((pr, pi), (lr, li)) = (psi.planes(), lambda.planes());
    let overlaps = &mut spare[..pr.len()];
    for (x, w) in overlaps.iter_mut().enumerate() {
        *w = lr[x] * pi[x] - li[x] * pr[x];
    }
    walsh(overlaps);
    overlaps
}

/// `Re <lambda| -iY_q |psi>`: the derivative by an RY angle, states taken after the gate.
fn turn_overlap<V: Value>(psi: &StateVector<V>, lambda: &StateVector<V>, q: usize) -> V {
    let ((pr, pi), (lr, li)) = (psi.planes(), lambda.planes());
    let mut sum = V::ZERO;
    for (p, l) in [(pr, lr), (pi, li)] {
        for (p, l) in p.chunks_exact(2 << q).zip(l.chunks_exact(2 << q)) {
            let ((p0, p1), (l0, l1)) = (p.split_at(1 << q), l.split_at(1 << q));
            for i in 0..1 << q {
                sum = sum + l1[i] * p0[i] - l0[i] * p1[i];
            }
        }
    }
    sum
}

/// `Im <lambda| X_q |psi>`: the derivative by the encoder's RX angle, states taken after the gate.
fn flip_overlap<V: Value>(psi: &StateVector<V>, lambda: &StateVector<V>, q: usize) -> V {
    let ((pr, pi), (lr, li)) = (psi.planes(), lambda.planes());
    (0..pr.len()).fold(V::ZERO, |sum, x| {
        let y = x ^ 1 << q;
        sum + lr[x] * pi[y] - li[x] * pr[y]
    })
}

/// Carries a gradient by fused angles over to the circuit's parameters: `out[p] += sum c * g`.
pub fn to_parameters(circuit: &Fused, by_angle: &[f64], out: &mut [f64]) {
    let affines = circuit.ops.iter().flat_map(|op| -> Vec<&Affine> {
        match op {
            FusedOp::Phases(terms) => terms.iter().map(|(_, a)| a).collect(),
            FusedOp::Ry(_, a) => vec![a],
            FusedOp::IndexMap(_) => vec![],
        }
    });
    for (affine, g) in affines.zip(by_angle) {
        for &(p, c) in &affine.terms {
            out[p as usize] += c * g;
        }
    }
}

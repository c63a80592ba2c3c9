//! The reference of the batches' gradient: expectations of a fused circuit and their gradient by the adjoint method,
//! through the runtime's own kernels.
//!
//! With `|psi>` after the circuit and `|lambda> = O |psi>` for the weighted read-outs `O`, walking
//! both back gate by gate gives the derivative by a gate's angle as `2 Re <lambda| dU U^-1 |psi>`
//! (arXiv 2009.02823). All phases of a diagonal come from one Walsh transform.

use qdllm_runtime::math::{Scalar, Value};
use qdllm_runtime::state::kernels::walsh;
use qdllm_runtime::state::{DIM, StateVector};
use qdllm_trainer::gradient::{Bound, BoundOp};

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

/// Expectations at encoder angles `inputs` (radians), one an output; keeps the state for
/// [`gradient`].
pub fn expectations<S: Scalar, V: Value<Scalar = S>>(
    bound: &Bound<S>,
    work: &mut Work<V>,
    inputs: &[V],
) -> Vec<V> {
    let psi = &mut work.psi;
    psi.start(&inputs[..bound.qubits]);
    bound.apply(psi);
    work.lambda.clone_from(&work.psi);
    work.lambda.measure();
    let read = |&(mask, negated)| {
        let e = work.lambda.expectation(mask);
        if negated { -e } else { e }
    };
    bound.outputs.iter().map(read).collect()
}

/// The vector-Jacobian product of `cotangent` (one an output) with the expectations that
/// [`expectations`] computed last in `work`.
pub fn gradient<S: Scalar, V: Value<Scalar = S>>(
    bound: &Bound<S>,
    work: &mut Work<V>,
    cotangent: &[V],
) -> Gradient<V> {
    observe(&bound.outputs, work, cotangent);
    let Work { psi, lambda, spare } = work;
    let mut reversed = Vec::new();
    for op in bound.ops.iter().rev() {
        match op {
            BoundOp::Phases { masks, .. } => {
                let walshed = phase_overlaps(psi, lambda, spare);
                reversed.extend(masks.iter().rev().map(|&mask| walshed[mask as usize]));
            }
            BoundOp::Ry { qubit, .. } => reversed.push(turn_overlap(psi, lambda, *qubit)),
            BoundOp::IndexMap(_) => {}
        }
        op.run(psi, true);
        op.run(lambda, true);
    }
    reversed.reverse();
    let inputs = (0..bound.qubits).map(|q| flip_overlap(psi, lambda, q)).collect();
    Gradient { inputs, angles: reversed }
}

/// `lambda = O psi`, `O` diagonal: the Walsh transform of the weights at their words.
fn observe<V: Value>(outputs: &[(u16, bool)], work: &mut Work<V>, cotangent: &[V]) {
    let Work { psi, lambda, spare } = work;
    let (re, im) = psi.planes();
    let weights = &mut spare[..re.len()];
    weights.fill(V::ZERO);
    for (&(mask, negated), &c) in outputs.iter().zip(cotangent) {
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

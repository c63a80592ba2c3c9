//! Where the training of a compact student begins: at a circuit that gives the regression's logits to first order.
//!
//! Around given biases the expectations are `E0 + J d` for small differences `d` of the angles. With the leading singular
//! vectors `J = U S V^T`, the lift `d = reach V z` and the head `W = H^T S^-1 U^T / reach` give the logits `H^T z`.

use super::low_rank::LinearHead;
use crate::gradient::batch::Batch;
use crate::student::front_end::{FrontEnd, Shape};
use nalgebra::DMatrix;
use qdllm_runtime::QUBITS;
use std::f32::consts::PI;

/// Deviation of all angles together from their middle, in radians, for inputs as they are in the mean: far enough for
/// 16-bit amplitudes and for shots, near enough for the slope to hold.
const REACH: f32 = 0.5;
/// Middles of the angles that are tried, in radians: those of the first and the last qubit, and of the others.
const MIDDLES: [f32; 9] = [0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.95, 1.1, 1.3];

/// Writes lift, biases and head over `theta`; the circuit's angles stay.
pub fn linear<F: FrontEnd>(shape: &Shape<F>, rank: usize, head: &LinearHead, theta: &mut [f32]) {
    let reach = REACH / (rank as f32).sqrt();
    let circuit = Batch::new(&shape.ansatz.fused, &shape.angles_rad(theta));
    let least = |(_, slopes): &(Vec<f32>, DMatrix<f32>)| {
        let mut values: Vec<f32> = slopes.singular_values().iter().copied().collect();
        values.sort_by(|a, b| b.total_cmp(a));
        values.get(rank - 1).copied().unwrap_or(0.0)
    };
    let tried = MIDDLES.iter().flat_map(|&ends| MIDDLES.map(|others| (ends, others)));
    let tried = tried.map(|(ends, others)| {
        let mut middle = [others; QUBITS];
        (middle[0], middle[QUBITS - 1]) = (ends, ends);
        (middle, slopes(&circuit, &middle))
    });
    let best = tried.max_by(|(_, a), (_, b)| least(a).total_cmp(&least(b)));
    let Some((middle, (at_rest, slopes))) = best else { return };
    let svd = slopes.svd(true, true);
    let (Some(u), Some(v_t)) = (svd.u, svd.v_t) else { return };
    let mut order: Vec<usize> = (0..QUBITS).collect();
    order.sort_by(|&a, &b| svd.singular_values[b].total_cmp(&svd.singular_values[a]));
    let (weights, classes) = (shape.weight_range(), shape.classes);
    for (bias, middle) in theta[shape.bias_range()].iter_mut().zip(middle) {
        *bias = (middle / PI).atanh();
    }
    for (qubit, middle) in middle.iter().enumerate() {
        // An angle is pi tanh(feature).
        let by_feature = PI * (1.0 - (middle / PI).powi(2));
        for (input, &k) in order.iter().take(rank).enumerate() {
            theta[weights.start + qubit * rank + input] = reach * v_t[(k, qubit)] / by_feature;
        }
    }
    let start = shape.head_range().start;
    let outputs = shape.outputs();
    for class in 0..classes {
        let mut bias = head.bias[class];
        for output in 0..outputs {
            let each = order.iter().take(rank).enumerate().map(|(input, &k)| {
                let along = u[(output, k)] / (svd.singular_values[k] * reach);
                head.weights[input * classes + class] * along
            });
            let weight: f32 = each.sum();
            theta[start + class * outputs + output] = weight;
            bias -= weight * at_rest[output];
        }
        theta[start + classes * outputs + class] = bias;
    }
}

/// The expectations at these angles, and their slopes by the angles: `outputs x 11`.
fn slopes(circuit: &Batch, middle: &[f32; QUBITS]) -> (Vec<f32>, DMatrix<f32>) {
    let (inputs, outputs) = (circuit.inputs(), circuit.outputs());
    let step = 0.5_f32;
    let mut angles = middle.to_vec();
    for qubit in 0..inputs {
        for way in [step, -step] {
            let mut moved = *middle;
            moved[qubit] += way;
            angles.extend(moved);
        }
    }
    let expectations = circuit.run(&angles);
    let (rest, moved) = expectations.split_at(outputs);
    // Each expectation is a sine of each angle, so the slope is exact for any step.
    let slope = |i: usize, j: usize| {
        (moved[2 * j * outputs + i] - moved[(2 * j + 1) * outputs + i]) / (2.0 * step.sin())
    };
    (rest.to_vec(), DMatrix::from_fn(outputs, inputs, slope))
}

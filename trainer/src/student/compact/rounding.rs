//! The circuit's angles and the head, rounded to what a compact model file holds of them.

use super::levels::carried;
use crate::student::backprop::Batcher;
use crate::student::front_end::{Examples, FrontEnd, Shape};
use nalgebra::DMatrix;
use qdllm_runtime::format::encode::{self, small_head};
use qdllm_runtime::head::MAX_HALVINGS;
use std::f64::consts::PI;

/// Room that the weights leave for errors that are carried on to them.
const ROOM: f32 = 1.1;

/// Each angle of the fused circuit to the nearest of 2^16 in a turn.
pub fn angles<F: FrontEnd>(shape: &Shape<F>, theta: &mut [f32]) {
    let range = shape.angle_range();
    for angle in encode::angles(&shape.ansatz.fused) {
        // Each angle of the preset is a sum of parameters of its own: the first takes the difference.
        let now = angle.value(&shape.angles_rad(theta));
        let unit = PI / 32_768.0;
        let off = (now / unit).round() * unit - now;
        if let Some(&(first, _)) = angle.terms.first() {
            theta[range.start + first as usize] += off as f32;
        }
    }
}

/// The head's section, and over `theta` what it says. What rounding an output's weight changes of the logits of `texts`
/// is made up for by the outputs after it, and in the mean by the bias.
pub fn head<F: FrontEnd>(
    shape: &Shape<F>,
    theta: &mut [f32],
    texts: &Examples<F::Item>,
) -> Vec<u8> {
    let (classes, outputs) = (shape.classes, shape.outputs());
    let rows = Batcher::new(shape, theta, 0.0).expectations(&texts.samples());
    let rows = DMatrix::from_row_iterator(texts.count(), outputs, rows.into_iter().map(f64::from));
    let mean = rows.row_mean();
    let mut spread = rows.tr_mul(&rows) / texts.count() as f64 - mean.transpose() * &mean;
    let ridge = 1e-6 * spread.diagonal().mean().max(1e-12);
    (0..outputs).for_each(|i| spread[(i, i)] += ridge);
    let factor = spread.cholesky().map(nalgebra::Cholesky::unpack);
    let theta = &mut theta[shape.head_range()];
    let (weights, biases) = theta.split_at_mut(classes * outputs);
    let largest = |output: usize| {
        weights.iter().skip(output).step_by(outputs).fold(1e-9_f32, |m, w| m.max(w.abs()))
    };
    let by_output: Vec<f32> = (0..outputs).map(largest).collect();
    let most = by_output.iter().fold(0.0_f32, |m, &x| m.max(x));
    let worth = ROOM * most / 127.0;
    let halvings: Vec<u8> =
        by_output.iter().map(|x| ((most / x).log2() as u8).min(MAX_HALVINGS)).collect();
    let units: Vec<f32> = halvings.iter().map(|&n| worth / f32::from(n).exp2()).collect();
    let mut bytes = vec![0_i8; weights.len()];
    for ((row, bytes), bias) in weights
        .chunks_exact_mut(outputs)
        .zip(bytes.chunks_exact_mut(outputs))
        .zip(biases.iter_mut())
    {
        let mut errors = vec![0.0_f64; outputs];
        for i in (0..outputs).rev() {
            let carried = carried(factor.as_ref(), i, |k| errors[k]);
            let byte = ((row[i] + carried as f32) / units[i]).round() as i8;
            let rounded = f32::from(byte) * units[i];
            errors[i] = f64::from(row[i] - rounded);
            (bytes[i], row[i]) = (byte, rounded);
        }
        *bias += errors.iter().zip(mean.iter()).map(|(e, m)| e * m).sum::<f64>() as f32;
    }
    let largest = biases.iter().fold(1e-9_f32, |m, b| m.max(b.abs()));
    let worth = [worth, largest / 32_767.0];
    let sixteen: Vec<i16> = biases.iter().map(|b| (b / worth[1]).round() as i16).collect();
    biases.iter_mut().zip(&sixteen).for_each(|(b, &n)| *b = f32::from(n) * worth[1]);
    small_head(worth, &halvings, &bytes, &sixteen)
}

//! The smallest polynomial that decides as the statevector does often enough.
//!
//! Candidates are the monomials whose coefficient times standard deviation over the calibration texts
//! is largest. From them a forward selection takes, one at a time, the one that leaves the least of the
//! statevector's logits unexplained on those texts, and weights come from least squares: they also take
//! over what correlates with them among the monomials left out.

use super::agreement::{Agreement, CircuitInputs};
use super::coefficients::Coefficients;
use super::error::CompileError;
use super::evaluate;
use super::monomial_tree::tree;
use super::task::{Compiled, Task};
use super::tensor_train::whitening::{Circles, circles};
use nalgebra::DMatrix;
use qdllm_runtime::compiled::measured::Measured;
use qdllm_runtime::compiled::polynomial::{
    MAX_NODES, OwnedNode, Polynomial, VALUE_BITS, WEIGHT_BITS, section,
};
use rayon::prelude::*;

/// Calibration texts from which deviations are estimated and weights fitted, at most.
const FITTED: usize = 4000;
const CANDIDATES: usize = 600;
const SELECTED: usize = 400;
/// Bytes of an evaluation's memory: one number a class that a model may have.
const RAM_BYTES: u32 = size_of::<qdllm_runtime::Probabilities>() as u32;

/// The smallest polynomial that decides at least a share `task.asked` as the statevector does.
///
/// # Errors
/// [`CompileError`]; with nothing good enough it names the best found.
pub fn polynomial(task: &Task<'_>) -> Result<Compiled, CompileError> {
    let coefficients = Coefficients::of(task.model);
    let fit = Fit::new(&coefficients, &task.calibration);
    let mut best: Option<(String, Agreement)> = None;
    let mut count = 1;
    loop {
        count = count.min(fit.chosen.len());
        let candidate = fit.take(count);
        if task.is_enough(&task.choice.compare(|i| fit.logits(&candidate, &task.choice, i)))
            || count == fit.chosen.len()
        {
            let (compiled, chosen, reported) = finish(task, &fit, &candidate)?;
            if task.is_enough(&chosen) && reported.share >= task.asked {
                return Ok(compiled);
            }
            if best.as_ref().is_none_or(|(_, b)| reported.share > b.share) {
                best = Some((format!("{count} monomials"), reported));
            }
        }
        if count == fit.chosen.len() {
            break;
        }
        count = (count * 21 / 20).max(count + 1);
    }
    let nothing =
        || ("none".to_owned(), Agreement { share: 0.0, largest_error: 0.0, expected_loss: 0.0 });
    Err(task.out_of_reach(
        &format!("polynomial of up to {} monomials", fit.chosen.len()),
        best.unwrap_or_else(nothing),
    ))
}

/// Monomials in the order of selection, and what fits them.
struct Fit {
    qubits: usize,
    classes: usize,
    chosen: Vec<u32>,
    /// Means of the chosen monomials, and of the logits.
    means: Vec<f64>,
    centre: Vec<f64>,
    /// Lower triangle of the chosen monomials' covariance, row by row, and the fit in its terms.
    lower: Vec<Vec<f64>>,
    steps: Vec<Vec<f64>>,
}

/// Monomials with their weights: for each one a row of a number a class; the constant apart.
struct Weighted {
    monomials: Vec<u32>,
    weights: Vec<Vec<f64>>,
    constant: Vec<f64>,
}

impl Fit {
    fn new(coefficients: &Coefficients, texts: &CircuitInputs) -> Self {
        let (qubits, classes) = (coefficients.qubits, coefficients.classes);
        let used = &texts.angles[..texts.len().min(FITTED)];
        let candidates = candidates(coefficients, used);
        let circles: Vec<Circles> = used.iter().map(circles).collect();
        let columns: Vec<Vec<f64>> = candidates
            .par_iter()
            .map(|&m| circles.iter().map(|c| value(m, qubits, c)).collect())
            .collect();
        let n = used.len() as f64;
        let all_means: Vec<f64> = columns.iter().map(|c| c.iter().sum::<f64>() / n).collect();
        let x = DMatrix::from_fn(used.len(), candidates.len(), |i, j| columns[j][i] - all_means[j]);
        let centre: Vec<f64> = (0..classes)
            .map(|c| texts.logits[..used.len()].iter().map(|l| f64::from(l[c])).sum::<f64>() / n)
            .collect();
        let y =
            DMatrix::from_fn(used.len(), classes, |i, c| f64::from(texts.logits[i][c]) - centre[c]);
        let (gram, mut slopes) = (x.tr_mul(&x), x.tr_mul(&y));
        // What of each candidate the chosen ones do not explain.
        let mut left: Vec<f64> =
            (0..candidates.len()).map(|j| gram[(j, j)] * (1.0 + 1e-9)).collect();
        let floor: Vec<f64> = left.iter().map(|l| l * 1e-6 + f64::MIN_POSITIVE).collect();
        let mut fit = Self {
            qubits,
            classes,
            chosen: Vec::new(),
            means: Vec::new(),
            centre,
            lower: Vec::new(),
            steps: Vec::new(),
        };
        // columns_of[j]: entries of candidate j in the triangle so far.
        let mut rows: Vec<Vec<f64>> = vec![Vec::new(); candidates.len()];
        let mut open: Vec<bool> = vec![true; candidates.len()];
        // No more weights than a fifth of the texts can tell.
        let most = SELECTED.min(used.len() / 5).max(1);
        while fit.chosen.len() < most {
            let gain = |j: usize| slopes.row(j).norm_squared() / left[j];
            let Some(p) = (0..candidates.len())
                .filter(|&j| open[j] && left[j] > floor[j])
                .max_by(|&a, &b| gain(a).total_cmp(&gain(b)))
            else {
                break;
            };
            open[p] = false;
            let root = left[p].sqrt();
            let step: Vec<f64> = (0..classes).map(|c| slopes[(p, c)] / root).collect();
            let pivot = rows[p].clone();
            for j in 0..candidates.len() {
                let known: f64 = rows[j].iter().zip(&pivot).map(|(a, b)| a * b).sum();
                let entry = if j == p { root } else { (gram[(j, p)] - known) / root };
                rows[j].push(entry);
                left[j] -= entry * entry;
                for (c, s) in step.iter().enumerate() {
                    slopes[(j, c)] -= entry * s;
                }
            }
            fit.chosen.push(candidates[p]);
            fit.means.push(all_means[p]);
            fit.lower.push(rows[p].clone());
            fit.steps.push(step);
        }
        fit
    }

    /// The first `count` chosen monomials with the weights that fit best.
    fn take(&self, count: usize) -> Weighted {
        let mut weights = vec![vec![0.0; self.classes]; count];
        for k in (0..count).rev() {
            let mut row = self.steps[k].clone();
            for (later, lower) in weights.iter().zip(&self.lower).skip(k + 1) {
                row.iter_mut().zip(later).for_each(|(x, w)| *x -= lower[k] * w);
            }
            weights[k] = row.into_iter().map(|x| x / self.lower[k][k]).collect();
        }
        let mut weighted =
            Weighted { monomials: self.chosen[..count].to_vec(), weights, constant: Vec::new() };
        weighted.constant = self.constant(&weighted.weights);
        weighted
    }

    /// The constant that makes the mean logits right.
    fn constant(&self, weights: &[Vec<f64>]) -> Vec<f64> {
        let mut constant = self.centre.clone();
        for (row, mean) in weights.iter().zip(&self.means) {
            constant.iter_mut().zip(row).for_each(|(c, w)| *c -= w * mean);
        }
        constant
    }

    fn logits(&self, weighted: &Weighted, texts: &CircuitInputs, i: usize) -> Vec<f32> {
        let circles = circles(&texts.angles[i]);
        let mut logits = weighted.constant.clone();
        for (&m, row) in weighted.monomials.iter().zip(&weighted.weights) {
            let value = value(m, self.qubits, &circles);
            logits.iter_mut().zip(row).for_each(|(l, w)| *l += w * value);
        }
        logits.iter().map(|&l| l as f32).collect()
    }
}

fn value(monomial: u32, qubits: usize, circles: &Circles) -> f64 {
    let (mut rest, mut value) = (monomial as usize, 1.0);
    for circle in &circles[..qubits] {
        value *= circle[rest % 3];
        rest /= 3;
    }
    value
}

/// The monomials of the largest coefficient times standard deviation.
fn candidates(coefficients: &Coefficients, angles: &[[f32; qdllm_runtime::QUBITS]]) -> Vec<u32> {
    let size = coefficients.len();
    let (sums, squares) = angles
        .par_chunks(64)
        .map(|texts| {
            let (mut sums, mut squares) = (vec![0.0_f32; size], vec![0.0_f32; size]);
            let mut values = vec![0.0_f32; size];
            for angles in texts {
                values[0] = 1.0;
                let mut filled = 1;
                for angle in &angles[..coefficients.qubits] {
                    let (sin, cos) = angle.sin_cos();
                    for i in 0..filled {
                        values[filled + i] = values[i] * cos;
                        values[2 * filled + i] = values[i] * sin;
                    }
                    filled *= 3;
                }
                for ((sum, square), v) in sums.iter_mut().zip(&mut squares).zip(&values) {
                    *sum += v;
                    *square += v * v;
                }
            }
            (sums, squares)
        })
        .collect::<Vec<_>>()
        .into_iter()
        .fold((vec![0.0; size], vec![0.0; size]), |(mut a, mut b), (c, d)| {
            a.iter_mut().zip(c).for_each(|(a, c)| *a += f64::from(c));
            b.iter_mut().zip(d).for_each(|(b, d)| *b += f64::from(d));
            (a, b)
        });
    let count = angles.len() as f64;
    let mut scores: Vec<(f64, u32)> = (1..size)
        .map(|m| {
            let variance = (squares[m] / count - (sums[m] / count).powi(2)).max(0.0);
            (coefficients.row(m).iter().map(|w| w * w).sum::<f64>() * variance, m as u32)
        })
        .collect();
    scores.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    scores.truncate(CANDIDATES);
    scores.into_iter().map(|(_, m)| m).collect()
}

/// Rounds the weights, builds the tree and measures what the runtime makes of it: the section, its
/// agreement on the texts that choose and on those that are reported on.
fn finish(
    task: &Task<'_>,
    fit: &Fit,
    weighted: &Weighted,
) -> Result<(Compiled, Agreement, Agreement), CompileError> {
    let others = fit.classes - 1;
    // Differences to the first class.
    let less = |row: &[f64]| -> Vec<f64> { row[1..].iter().map(|x| x - row[0]).collect() };
    let weights: Vec<Vec<f64>> = weighted.weights.iter().map(|row| less(row)).collect();
    let constant = less(&weighted.constant);
    let largest = weights.iter().flatten().fold(0.0_f64, |most, w| most.max(w.abs()));
    let sum = (0..others)
        .map(|c| constant[c].abs() + weights.iter().map(|row| row[c].abs() + 1e-4).sum::<f64>())
        .fold(0.0, f64::max);
    // No weight leaves 16 bits, and no sum 32, whatever the angles; values of nodes exceed 1 by less
    // than a thousandth.
    let fits = |bits: u8| {
        let unit = f64::from(1_u32 << bits);
        largest * unit <= 32_767.0
            && sum * 1.001 * unit * f64::from(1_u32 << VALUE_BITS) < f64::from(i32::MAX)
    };
    let bits = WEIGHT_BITS.rev().find(|&bits| fits(bits)).unwrap_or(*WEIGHT_BITS.start());
    let unit = f64::from(1_u32 << bits);
    let rounded: Vec<Vec<f64>> = weights
        .iter()
        .map(|row| row.iter().map(|w| (w * unit).round().clamp(-32_768.0, 32_767.0)).collect())
        .collect();
    let constants: Vec<i32> = (0..others)
        .map(|c| {
            // The constant makes good what rounding did to the mean.
            let moved: f64 = (rounded.iter().zip(&weights).zip(&fit.means))
                .map(|((r, w), mean)| (w[c] - r[c] / unit) * mean)
                .sum();
            ((constant[c] + moved) * unit * f64::from(1_u32 << VALUE_BITS)).round() as i32
        })
        .collect();
    let nodes: Vec<OwnedNode> = tree(&weighted.monomials, fit.qubits)
        .into_iter()
        .map(|branch| OwnedNode {
            depth: branch.depth,
            qubit: branch.factor.0,
            sine: branch.factor.1,
            weights: branch
                .monomial
                .map_or(Vec::new(), |m| rounded[m].iter().map(|&w| w as i16).collect()),
        })
        .collect();
    let mut measured = Measured {
        asked: task.asked as f32,
        agreement: 0.0,
        texts: task.report.len() as u32,
        largest_logit_error: 0.0,
        multiply_adds: (nodes.len() + weighted.monomials.len() * others) as u32,
        ram_bytes: RAM_BYTES,
    };
    debug_assert!(nodes.len() <= MAX_NODES);
    let bytes = section(&measured, bits, &constants, &nodes);
    let runtime = Polynomial::parse(&bytes, fit.classes, fit.qubits)?;
    let compare = |seen: &CircuitInputs| seen.compare(|i| evaluate::polynomial(&runtime, seen, i));
    let (chosen, reported) = (compare(&task.choice), compare(&task.report));
    measured.agreement = reported.share as f32;
    measured.largest_logit_error = reported.largest_error;
    let compiled = Compiled {
        section: section(&measured, bits, &constants, &nodes),
        made_of: format!("{} monomials on {} products", weighted.monomials.len(), nodes.len()),
        measured,
    };
    Ok((compiled, chosen, reported))
}

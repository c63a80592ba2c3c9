//! The smallest polynomial that decides as the statevector does often enough.
//!
//! Candidates are the monomials whose coefficient times standard deviation over the calibration texts
//! is largest. From them a forward selection takes, one at a time, the one that leaves the least of the
//! statevector's logits unexplained on those texts, and weights come from least squares: they also take
//! over what correlates with them among the monomials left out.

use super::agreement::{Circles, CircuitInputs, circles};
use super::coefficients::{Coefficients, digit};
use super::{Compiled, Task, Tried};
use crate::seed::stream;
use anyhow::Result;
use nalgebra::DMatrix;
use qdllm_runtime::compiled::polynomial::{
    MAX_NODES, OwnedNode, Polynomial, VALUE_BITS, WEIGHT_BITS, section,
};
use qdllm_runtime::{Probabilities, QUBITS};
use rand::Rng;
use rayon::prelude::*;
use std::collections::{BTreeMap, HashSet};

/// Calibration texts from which deviations are estimated and weights fitted, at most.
const FITTED: usize = 4000;
const CANDIDATES: usize = 600;
const SELECTED: usize = 400;
/// Exchanges of factors that the search for a small tree tries.
const TRIES: usize = 2000;
/// Memory of an evaluation: one number a class that a model may have.
const RAM_BYTES: usize = size_of::<Probabilities>();

/// The smallest polynomial that decides at least a share `task.asked` as the statevector does.
///
/// With nothing good enough the error names the best found.
pub fn polynomial(task: &Task<'_>) -> Result<Compiled> {
    let coefficients = Coefficients::of(task.model);
    let fit = Fit::new(&coefficients, &task.calibration);
    let (most, mut count, mut best) = (fit.chosen.len(), 1, None);
    loop {
        count = count.min(most);
        let candidate = fit.take(count);
        let agreement = task.choice.compare(|i| fit.logits(&candidate, &task.choice.angles[i]));
        if task.is_enough(&agreement) || count == most {
            let tried = finish(task, &fit, &candidate)?;
            if let Some(done) = task.accept(tried, &format!("{count} monomials"), &mut best) {
                return Ok(done);
            }
        }
        if count == most {
            return Err(task.out_of_reach(&format!("polynomial of up to {most} monomials"), best));
        }
        count = (count * 21 / 20).max(count + 1);
    }
}

/// Monomials in the order of selection, and what fits them.
struct Fit {
    qubits: usize,
    /// Means of the logits, one a class.
    centre: Vec<f64>,
    chosen: Vec<Chosen>,
}

struct Chosen {
    monomial: u32,
    mean: f64,
    /// Its row of the lower triangle of the chosen monomials' covariance.
    lower: Vec<f64>,
    /// The fit in terms of that triangle, one number a class.
    step: Vec<f64>,
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
        let means: Vec<f64> = columns.iter().map(|c| c.iter().sum::<f64>() / n).collect();
        let x = DMatrix::from_fn(used.len(), candidates.len(), |i, j| columns[j][i] - means[j]);
        let centre: Vec<f64> = (0..classes)
            .map(|c| texts.logits[..used.len()].iter().map(|l| f64::from(l[c])).sum::<f64>() / n)
            .collect();
        let y =
            DMatrix::from_fn(used.len(), classes, |i, c| f64::from(texts.logits[i][c]) - centre[c]);
        let (gram, mut slopes) = (x.tr_mul(&x), x.tr_mul(&y));
        // What of each candidate the chosen ones do not explain: next to nothing of themselves.
        let mut left: Vec<f64> =
            (0..candidates.len()).map(|j| gram[(j, j)] * (1.0 + 1e-9)).collect();
        let floor: Vec<f64> = left.iter().map(|l| l * 1e-6 + f64::MIN_POSITIVE).collect();
        let mut fit = Self { qubits, centre, chosen: Vec::new() };
        // Entries of each candidate in the triangle so far.
        let mut rows: Vec<Vec<f64>> = vec![Vec::new(); candidates.len()];
        // No more weights than a fifth of the texts can tell.
        let most = SELECTED.min(used.len() / 5).max(1);
        while fit.chosen.len() < most {
            let gain = |j: usize| slopes.row(j).norm_squared() / left[j];
            let open = (0..candidates.len()).filter(|&j| left[j] > floor[j]);
            let Some(p) = open.max_by(|&a, &b| gain(a).total_cmp(&gain(b))) else { break };
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
            let (monomial, mean, lower) = (candidates[p], means[p], rows[p].clone());
            fit.chosen.push(Chosen { monomial, mean, lower, step });
        }
        fit
    }

    /// The first `count` chosen monomials with the weights that fit best, and the constant that makes the mean
    /// logits right.
    fn take(&self, count: usize) -> Weighted {
        let chosen = &self.chosen[..count];
        let mut weights: Vec<Vec<f64>> = vec![Vec::new(); count];
        for k in (0..count).rev() {
            let mut row = chosen[k].step.clone();
            for (later, chosen) in weights.iter().zip(chosen).skip(k + 1) {
                row.iter_mut().zip(later).for_each(|(x, w)| *x -= chosen.lower[k] * w);
            }
            weights[k] = row.into_iter().map(|x| x / chosen[k].lower[k]).collect();
        }
        let mut constant = self.centre.clone();
        for (row, chosen) in weights.iter().zip(chosen) {
            constant.iter_mut().zip(row).for_each(|(c, w)| *c -= w * chosen.mean);
        }
        Weighted { monomials: chosen.iter().map(|c| c.monomial).collect(), weights, constant }
    }

    fn logits(&self, weighted: &Weighted, angles: &[f32; QUBITS]) -> Vec<f32> {
        let circles = circles(angles);
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
fn candidates(coefficients: &Coefficients, angles: &[[f32; QUBITS]]) -> Vec<u32> {
    let size = coefficients.monomials();
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

/// Rounds the weights, builds the tree and measures what the runtime makes of it.
fn finish(task: &Task<'_>, fit: &Fit, weighted: &Weighted) -> Result<Tried> {
    let (classes, others) = (fit.centre.len(), fit.centre.len() - 1);
    // Differences to the first class.
    let less = |row: &Vec<f64>| -> Vec<f64> { row[1..].iter().map(|x| x - row[0]).collect() };
    let weights: Vec<Vec<f64>> = weighted.weights.iter().map(less).collect();
    let constant = less(&weighted.constant);
    let largest = weights.iter().flatten().fold(0.0_f64, |most, w| most.max(w.abs()));
    let sum = (0..others)
        .map(|c| constant[c].abs() + weights.iter().map(|row| row[c].abs() + 1e-4).sum::<f64>())
        .fold(0.0, f64::max);
    // No weight leaves 16 bits, and no sum 32, whatever the angles; values of nodes exceed 1 by less than a thousandth.
    let of_value = f64::from(1_u32 << VALUE_BITS);
    let fits = |bits: u8| {
        let unit = f64::from(1_u32 << bits);
        largest * unit <= 32_767.0 && sum * 1.001 * unit * of_value < f64::from(i32::MAX)
    };
    let bits = WEIGHT_BITS.rev().find(|&bits| fits(bits)).unwrap_or(*WEIGHT_BITS.start());
    let unit = f64::from(1_u32 << bits);
    let round = |w: &f64| (w * unit).round().clamp(-32_768.0, 32_767.0);
    let rounded: Vec<Vec<f64>> =
        weights.iter().map(|row| row.iter().map(round).collect()).collect();
    let constants: Vec<i32> = (0..others)
        .map(|c| {
            // The constant makes good what rounding did to the mean.
            let moved: f64 = (rounded.iter().zip(&weights).zip(&fit.chosen))
                .map(|((r, w), chosen)| (w[c] - r[c] / unit) * chosen.mean)
                .sum();
            ((constant[c] + moved) * unit * of_value).round() as i32
        })
        .collect();
    let weights_of = |m: usize| rounded[m].iter().map(|&w| w as i16).collect();
    let nodes = tree(&weighted.monomials, fit.qubits, weights_of);
    debug_assert!(nodes.len() <= MAX_NODES);
    let monomials = weighted.monomials.len();
    task.measure(
        format!("{monomials} monomials on {} products", nodes.len()),
        (nodes.len() + monomials * others, RAM_BYTES),
        |measured| section(measured, bits, &constants, &nodes),
        |bytes, texts| Ok(texts.polynomial(&Polynomial::parse(bytes, classes, fit.qubits)?)),
    )
}

/// A factor: the qubit, and whether it is the sine.
type Factor = (usize, bool);

fn factors(monomial: u32, qubits: usize) -> impl Iterator<Item = Factor> {
    (0..qubits).filter_map(move |q| match digit(monomial as usize, q) {
        0 => None,
        digit => Some((q, digit == 2)),
    })
}

/// Monomials, none of them 1, as a tree in which each node multiplies its parent by one factor; parents come before
/// children, and those that are no monomial have no weights.
///
/// The order in which factors are taken decides how many leading products monomials share; a short
/// search exchanges factors as long as that saves nodes.
fn tree(
    monomials: &[u32],
    qubits: usize,
    weights_of: impl Fn(usize) -> Vec<i16>,
) -> Vec<OwnedNode> {
    let mut uses: BTreeMap<Factor, usize> = BTreeMap::new();
    for &m in monomials {
        factors(m, qubits).for_each(|f| *uses.entry(f).or_default() += 1);
    }
    let mut order: Vec<Factor> = uses.keys().copied().collect();
    order.sort_by_key(|f| std::cmp::Reverse(uses[f]));
    let mut fewest = nodes(monomials, qubits, &order);
    let mut random = stream(0, "tree of monomials");
    for _ in 0..if order.len() > 1 { TRIES } else { 0 } {
        let (a, b) = (random.random_range(0..order.len()), random.random_range(0..order.len()));
        order.swap(a, b);
        let count = nodes(monomials, qubits, &order);
        if count <= fewest { fewest = count } else { order.swap(a, b) }
    }
    let mut paths: Vec<(Vec<usize>, usize)> =
        monomials.iter().enumerate().map(|(i, &m)| (path(m, qubits, &order), i)).collect();
    paths.sort();
    let mut tree: Vec<OwnedNode> = Vec::new();
    let mut last: &[usize] = &[];
    for (path, monomial) in &paths {
        let shared = last.iter().zip(path).take_while(|(a, b)| a == b).count();
        for (depth, &place) in path.iter().enumerate().skip(shared) {
            let (qubit, sine) = order[place];
            tree.push(OwnedNode { depth, qubit, sine, weights: Vec::new() });
        }
        if let Some(node) = tree.last_mut() {
            node.weights = weights_of(*monomial);
        }
        last = path;
    }
    tree
}

/// A monomial's factors as ascending places in the order.
fn path(monomial: u32, qubits: usize, order: &[Factor]) -> Vec<usize> {
    let mut path: Vec<usize> = factors(monomial, qubits)
        .filter_map(|factor| order.iter().position(|f| *f == factor))
        .collect();
    path.sort_unstable();
    path
}

/// How many nodes an order gives: the different leading products.
fn nodes(monomials: &[u32], qubits: usize, order: &[Factor]) -> usize {
    let mut leading = HashSet::new();
    for &m in monomials {
        let mut mask = 0_u32;
        for place in path(m, qubits, order) {
            mask |= 1 << place;
            leading.insert(mask);
        }
    }
    leading.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_monomial_is_a_node_below_its_factors() {
        // cos0, cos0 sin1, cos0 sin1 cos2, sin2, in base 3.
        let monomials = [1, 1 + 6, 1 + 6 + 9, 18];
        let nodes = tree(&monomials, 3, |m| vec![m as i16]);
        let mut path: Vec<Factor> = Vec::new();
        let mut found = vec![false; monomials.len()];
        for node in &nodes {
            path.truncate(node.depth);
            path.push((node.qubit, node.sine));
            if let [i] = node.weights[..] {
                let i = i as usize;
                let mut expected: Vec<Factor> = factors(monomials[i], 3).collect();
                let mut sorted = path.clone();
                expected.sort();
                sorted.sort();
                assert_eq!(sorted, expected);
                assert!(!std::mem::replace(&mut found[i], true));
            }
        }
        assert!(found.iter().all(|&f| f));
        assert_eq!(nodes.len(), 4, "each shares its factors with the one before");
    }
}

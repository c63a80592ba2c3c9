//! Rows to a few bits: a table of levels for each dimension, and rounding that carries its error on.

use nalgebra::{DMatrix, DVector};
use rayon::prelude::*;

/// Rows whose errors are carried on to each other.
const BLOCK: usize = 2048;

/// The `2^bits` levels that hold weighted values with the least squared error (Lloyd 1982), ascending.
pub fn lloyd(values: &[f64], weights: &[f64], bits: u8) -> Vec<f64> {
    let count = 1_usize << bits;
    let mut sorted: Vec<f64> = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let most = values.iter().fold(0.0_f64, |m, x| m.max(x.abs()));
    let quantile =
        |i: usize| sorted[((i as f64 + 0.5) / count as f64 * sorted.len() as f64) as usize];
    let even = |i: usize| 0.8 * most * (2.0 * i as f64 / (count - 1) as f64 - 1.0);
    let starts: [Vec<f64>; 2] =
        [(0..count).map(quantile).collect(), (0..count).map(even).collect()];
    let fitted = starts.map(|mut levels| {
        for _ in 0..40 {
            let (mut sums, mut masses) = (vec![0.0; count], vec![0.0; count]);
            for (&x, &w) in values.iter().zip(weights) {
                let i = nearest(&levels, x);
                sums[i] += w * x;
                masses[i] += w;
            }
            for ((level, sum), mass) in levels.iter_mut().zip(sums).zip(masses) {
                if mass > 0.0 {
                    *level = sum / mass;
                }
            }
            levels.sort_by(f64::total_cmp);
        }
        let error = |(&x, &w): (&f64, &f64)| w * (x - levels[nearest(&levels, x)]).powi(2);
        (values.iter().zip(weights).map(error).sum::<f64>(), levels)
    });
    let [a, b] = fitted;
    if a.0 <= b.0 { a.1 } else { b.1 }
}

/// The index of the nearest of ascending levels.
pub fn nearest(levels: &[f64], x: f64) -> usize {
    let above = levels.partition_point(|&level| level < x).min(levels.len() - 1);
    let below = above.saturating_sub(1);
    if (x - levels[below]).abs() <= (levels[above] - x).abs() { below } else { above }
}

/// Rounds rows to levels so that the loss changes least: `texts` gives each text's columns with what they count for in the
/// loss's curvature. The rounding of frequent rows is made up for by the rarer ones (as GPTQ does it, arXiv 2210.17323;
/// here by back substitution in the Cholesky factor of the curvature).
pub fn round(
    rows: &[f64],
    levels: &[Vec<f64>],
    texts: &[Vec<(u32, f64)>],
    ridge: &[f64],
) -> Vec<u8> {
    let rank = levels.len();
    let count = rows.len() / rank;
    let mut curvature = ridge.to_vec();
    texts.iter().flatten().for_each(|&(column, x)| curvature[column as usize] += x * x);
    let mut order: Vec<u32> = (0..count as u32).collect();
    order.sort_by(|&a, &b| curvature[b as usize].total_cmp(&curvature[a as usize]).then(a.cmp(&b)));
    let mut codes = vec![0_u8; rows.len()];
    let blocks: Vec<(Vec<u32>, Vec<u8>)> = order
        .par_chunks(BLOCK)
        .map(|block| {
            // Rarest first, so that back substitution begins with the most frequent.
            let block: Vec<u32> = block.iter().rev().copied().collect();
            let rounded = round_block(rows, levels, texts, ridge, &block);
            (block, rounded)
        })
        .collect();
    for (block, rounded) in blocks {
        for (&column, code) in block.iter().zip(rounded.chunks_exact(rank)) {
            codes[column as usize * rank..][..rank].copy_from_slice(code);
        }
    }
    codes
}

/// What a number takes over of the errors of those after it, by the Cholesky factor of the curvature; nothing without.
pub fn carried(factor: Option<&DMatrix<f64>>, i: usize, error: impl Fn(usize) -> f64) -> f64 {
    factor.map_or(0.0, |l| {
        let column = l.column(i);
        (i + 1..l.nrows()).map(|k| column[k] * error(k)).sum::<f64>() / column[i]
    })
}

fn round_block(
    rows: &[f64],
    levels: &[Vec<f64>],
    texts: &[Vec<(u32, f64)>],
    ridge: &[f64],
    block: &[u32],
) -> Vec<u8> {
    let (rank, n) = (levels.len(), block.len());
    let mut place = vec![u32::MAX; ridge.len()];
    block.iter().zip(0..).for_each(|(&column, i)| place[column as usize] = i);
    let mut hessian = DMatrix::from_diagonal(&DVector::from_iterator(
        n,
        block.iter().map(|&column| ridge[column as usize]),
    ));
    let mut inside = Vec::new();
    for text in texts {
        inside.clear();
        inside
            .extend(text.iter().map(|&(c, x)| (place[c as usize], x)).filter(|p| p.0 != u32::MAX));
        for &(i, x) in &inside {
            for &(j, y) in &inside {
                hessian[(i as usize, j as usize)] += x * y;
            }
        }
    }
    let mean = hessian.diagonal().mean();
    (0..n).for_each(|i| hessian[(i, i)] += 1e-3 * mean);
    let factor = hessian.cholesky().map(nalgebra::Cholesky::unpack);
    let mut errors = vec![0.0; n * rank];
    let mut codes = vec![0; n * rank];
    for i in (0..n).rev() {
        for d in 0..rank {
            let x = rows[block[i] as usize * rank + d];
            let carried = carried(factor.as_ref(), i, |k| errors[k * rank + d]);
            let code = nearest(&levels[d], x + carried);
            codes[i * rank + d] = code as u8;
            errors[i * rank + d] = x - levels[d][code];
        }
    }
    codes
}

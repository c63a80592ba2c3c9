//! A train's entries as a device stores them: `f32`, or integers with scales that cannot overflow.

use super::gauge::{Gauged, Site};
use crate::compile::agreement::Circles;
use qdllm_runtime::compiled::tensor_train::{Chain, Cores, Link};

/// What a vector's largest entry on the calibration texts may grow by on others before it is held.
const HEADROOM: f64 = 2.0;
/// The largest sum of sizes of a column, unit row included: times entries of 16 bits it fits 32.
const COLUMN: f64 = 65_000.0;

/// Entries of a train for `cores`; `texts` say how large vectors become. None where the shifts that
/// integers need lie outside the format.
pub fn quantise(train: &Gauged, cores: Cores, texts: &[Circles]) -> Option<Chain> {
    let plain = |site: &Site| Link {
        qubit: site.qubit as u8,
        bond: site.bond as u8,
        fraction: 0,
        shift: 0,
        pivots: site.pivots.clone(),
        rows: site.rows.iter().map(|&x| x as f32).collect(),
    };
    let limit = match cores {
        Cores::F32 => {
            return Some(Chain {
                cores,
                left: train.left.iter().map(plain).collect(),
                right: train.right.iter().map(plain).collect(),
                shifts: [0, 0],
                node: train.node.iter().map(|&x| x as f32).collect(),
            });
        }
        Cores::I16 => 32_767.0,
        Cores::I8 => 127.0,
    };
    let ([left, right], node) = largest(train, texts);
    let side = |sites: &[Site], largest: &[f64]| -> Option<(Vec<Link>, i32)> {
        // The runtime begins with 1 in 14 fraction bits.
        let mut bits = 14;
        let links = sites.iter().zip(largest).map(|(site, &largest)| {
            let fraction = fraction(&site.rows, site.bond, 1.0, limit)?;
            let (shift, next) = shift(bits + i32::from(fraction), largest)?;
            bits = next;
            let unit = f64::from(1_u32 << fraction);
            let rows = site.rows.iter().map(|x| (x * unit).round() as f32).collect();
            Some(Link { fraction, shift, rows, ..plain(site) })
        });
        Some((links.collect::<Option<_>>()?, bits))
    };
    let (left, left_bits) = side(&train.left, &left)?;
    let (right, right_bits) = side(&train.right, &right)?;
    // Rows of the node are summed along the right bond: each is a column of its own.
    let turned: Vec<f64> = {
        let width = train.at_node()[1];
        (0..width).flat_map(|b| train.node.iter().skip(b).step_by(width).copied()).collect()
    };
    let bits = fraction(&turned, train.node.len() / train.at_node()[1], 0.0, limit)?;
    let unit = f64::from(1_u32 << bits);
    let (inner, sum_bits) = shift(right_bits + i32::from(bits), node)?;
    let node = train.node.iter().map(|x| (x * unit).round() as f32).collect();
    let outer = u8::try_from(left_bits + sum_bits - 16).ok().filter(|&s| s <= 31)?;
    Some(Chain { cores, left, right, shifts: [inner, outer], node })
}

/// The most fraction bits with which no entry of `rows` (of `width`) and no column's sum is too large.
fn fraction(rows: &[f64], width: usize, unit_row: f64, limit: f64) -> Option<u8> {
    let largest = rows.iter().fold(0.0_f64, |most, x| most.max(x.abs()));
    let column = (0..width)
        .map(|b| rows.iter().skip(b).step_by(width).map(|x| x.abs()).sum::<f64>())
        .fold(0.0, f64::max);
    let count = rows.len().div_ceil(width.max(1)) as f64;
    (0..=15).rev().find(|&bits| {
        let unit = f64::from(1_u32 << bits);
        // Rounding adds half a unit an entry at most.
        (largest * unit).round() <= limit && (column + unit_row) * unit + 0.5 * count <= COLUMN
    })
}

/// From sums with `bits` fraction bits to entries of 16 bits: the shift, and the fraction bits left.
fn shift(bits: i32, largest: f64) -> Option<(u8, i32)> {
    let most = (32_767.0 / (HEADROOM * largest.max(1e-9))).log2().floor() as i32;
    let shift = (bits - most).clamp(0, 31);
    u8::try_from(shift).ok().map(|s| (s, bits - shift))
}

/// The largest entries of vectors on texts: after each site of either side, and at the node.
fn largest(train: &Gauged, texts: &[Circles]) -> ([Vec<f64>; 2], f64) {
    let mut sides = [&train.left, &train.right].map(|sites| vec![0.0; sites.len()]);
    let (mut node, width) = (0.0_f64, train.at_node()[1]);
    for circles in texts {
        carried(&train.left, circles, &mut sides[0]);
        let right = carried(&train.right, circles, &mut sides[1]);
        for row in train.node.chunks_exact(width) {
            let sum: f64 = row.iter().zip(&right).map(|(x, r)| x * r).sum();
            node = node.max(sum.abs());
        }
    }
    (sides, node)
}

fn carried(sites: &[Site], circles: &Circles, largest: &mut [f64]) -> Vec<f64> {
    let mut vector = vec![1.0];
    for (site, largest) in sites.iter().zip(largest) {
        let mut next = vec![0.0; site.bond];
        let mut rows = site.rows.chunks_exact(site.bond);
        let mut unit = 0;
        for (row, &is_unit) in site.pivots.iter().enumerate() {
            let value = vector[row / 3] * circles[site.qubit][row % 3];
            if is_unit {
                next[unit] += value;
                unit += 1;
            } else if let Some(entries) = rows.next() {
                next.iter_mut().zip(entries).for_each(|(n, x)| *n += value * x);
            }
        }
        *largest = next.iter().fold(*largest, |most, x| most.max(x.abs()));
        vector = next;
    }
    vector
}

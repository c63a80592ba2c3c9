//! A train as a device stores it: in each bond the basis in which as many rows as it is wide are unit rows; entries as
//! `f32`, or as integers with scales that cannot overflow.
//!
//! Any invertible matrix may be put between two cores. Here it is the inverse of the rows of the core
//! that span the largest volume, found by exchanging rows: all entries are then 1 at most (a little
//! more where the search stops), which suits integers too.

use super::chain::{Chain, Mode};
use crate::compile::agreement::Circles;
use nalgebra::DMatrix;
use qdllm_runtime::compiled::tensor_train::{Chain as Stored, Cores, Link};

/// Entries that end the exchange of rows.
const LARGEST: f64 = 1.01;
const EXCHANGES: usize = 500;

#[derive(Clone, Debug)]
pub struct Site {
    pub qubit: usize,
    pub bond: usize,
    pub pivots: Vec<bool>,
    pub rows: Vec<f64>,
}

/// A train as a device runs it, its entries not yet rounded.
#[derive(Clone, Debug)]
pub struct Gauged {
    /// From each end to the node.
    pub left: Vec<Site>,
    pub right: Vec<Site>,
    /// Output by output (differences to the first class), then by the left bond's entry, then by the right's.
    pub node: Vec<f64>,
}

impl Gauged {
    /// Chooses the bases of a chain in (1, cosine, sine); none if a bond is wider than its core has independent rows.
    pub fn new(chain: &Chain) -> Option<Self> {
        let leg = chain.leg();
        let mut cores = chain.cores.clone();
        let (mut left, mut right) = (Vec::new(), Vec::new());
        for k in 0..leg {
            let Mode::Qubit(qubit) = cores[k].mode else { return None };
            let (site, passed) = site(qubit, &cores[k].tall())?;
            cores[k + 1].mix_left(&passed);
            left.push(site);
        }
        for k in (leg + 1..cores.len()).rev() {
            let Mode::Qubit(qubit) = cores[k].mode else { return None };
            let core = &cores[k];
            // Seen from the right end: rows are (b, i), columns a.
            let seen = DMatrix::from_fn(core.right * core.dim, core.left, |row, a| {
                core.entry(a, row % core.dim, row / core.dim)
            });
            let (site, passed) = site(qubit, &seen)?;
            cores[k - 1].mix_right(&passed.transpose());
            right.push(site);
        }
        let core = &cores[leg];
        let mut node = Vec::new();
        for c in 1..core.dim {
            for a in 0..core.left {
                node.extend((0..core.right).map(|b| core.entry(a, c, b) - core.entry(a, 0, b)));
            }
        }
        Some(Self { left, right, node })
    }

    /// Width of the right bond at the node.
    fn width(&self) -> usize {
        self.right.last().map_or(1, |site| site.bond)
    }

    pub fn multiply_adds(&self) -> usize {
        // A site reads three entries for each of the bond before it.
        let sites = self.left.iter().chain(&self.right);
        let sites: usize = sites.map(|s| 2 * (s.pivots.len() / 3) + s.rows.len()).sum();
        sites + self.node.len() + self.node.len() / self.width()
    }
}

/// A core by rows (a, i): in its new basis, and the matrix that the next core takes.
fn site(qubit: usize, rows: &DMatrix<f64>) -> Option<(Site, DMatrix<f64>)> {
    let mut chosen = independent(rows)?;
    let mut basis = in_terms_of(rows, &chosen)?;
    for _ in 0..EXCHANGES {
        let (row, column) = basis.icamax_full();
        let largest = basis[(row, column)];
        if largest.abs() <= LARGEST {
            break;
        }
        chosen[column] = row;
        let mut step = basis.row(row).into_owned();
        step[column] -= 1.0;
        let factor = basis.column(column) / largest;
        basis -= factor * step;
    }
    chosen.sort_unstable();
    let basis = in_terms_of(rows, &chosen)?;
    let pivots: Vec<bool> = (0..rows.nrows()).map(|row| chosen.contains(&row)).collect();
    let others = (0..rows.nrows()).filter(|&row| !pivots[row]);
    let entries = others.flat_map(|row| basis.row(row).iter().copied().collect::<Vec<_>>());
    let site = Site { qubit, bond: rows.ncols(), rows: entries.collect(), pivots };
    Some((site, rows.select_rows(&chosen)))
}

/// All rows as mixtures of the chosen ones.
fn in_terms_of(rows: &DMatrix<f64>, chosen: &[usize]) -> Option<DMatrix<f64>> {
    let square = rows.select_rows(chosen);
    square.transpose().lu().solve(&rows.transpose()).map(|solved| solved.transpose())
}

/// As many independent rows as there are columns, by elimination.
fn independent(rows: &DMatrix<f64>) -> Option<Vec<usize>> {
    let mut left = rows.clone();
    let mut chosen = Vec::new();
    for column in 0..rows.ncols() {
        let row = left.column(column).icamax();
        let pivot = left[(row, column)];
        if pivot.abs() < 1e-14 || chosen.contains(&row) {
            return None;
        }
        chosen.push(row);
        let step = left.row(row).into_owned() / pivot;
        let factors = left.column(column).into_owned();
        left -= factors * step;
        left.row_mut(row).fill(0.0);
    }
    Some(chosen)
}

/// What a vector's largest entry on the calibration texts may grow by on others before it is held.
const HEADROOM: f64 = 2.0;
/// The largest sum of sizes of a column, unit row included: times entries of 16 bits it fits 32.
const COLUMN: f64 = 65_000.0;

/// Entries of a train for `cores`; `texts` say how large vectors become. None where the shifts that
/// integers need lie outside the format.
pub fn quantise(train: &Gauged, cores: Cores, texts: &[Circles]) -> Option<Stored> {
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
            let [left, right] =
                [&train.left, &train.right].map(|side| side.iter().map(plain).collect());
            let node = train.node.iter().map(|&x| x as f32).collect();
            return Some(Stored { cores, left, right, shifts: [0, 0], node });
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
    let width = train.width();
    let column = |b| train.node.iter().skip(b).step_by(width).copied();
    let turned: Vec<f64> = (0..width).flat_map(column).collect();
    let bits = fraction(&turned, train.node.len() / width, 0.0, limit)?;
    let unit = f64::from(1_u32 << bits);
    let (inner, sum_bits) = shift(right_bits + i32::from(bits), node)?;
    let node = train.node.iter().map(|x| (x * unit).round() as f32).collect();
    let outer = u8::try_from(left_bits + sum_bits - 16).ok().filter(|&s| s <= 31)?;
    Some(Stored { cores, left, right, shifts: [inner, outer], node })
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
    let (mut node, width) = (0.0_f64, train.width());
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

//! The basis of each bond in which as many rows as it is wide are unit rows.
//!
//! Any invertible matrix may be put between two cores. Here it is the inverse of the rows of the core
//! that span the largest volume, found by exchanging rows: all entries are then 1 at most (a little
//! more where the search stops), which suits integers too.

use super::chain::{Chain, Mode};
use nalgebra::DMatrix;

/// Entries that end the exchange of rows.
const LARGEST: f64 = 1.01;
const EXCHANGES: usize = 500;

/// A site whose core has unit rows.
#[derive(Clone, Debug)]
pub struct Site {
    pub qubit: usize,
    /// Width of the bond that it reads.
    pub from: usize,
    /// Width of the bond that it writes.
    pub bond: usize,
    pub pivots: Vec<bool>,
    pub rows: Vec<f64>,
}

/// A train as a device runs it, its entries not yet rounded.
#[derive(Clone, Debug)]
pub struct Gauged {
    /// From the left end to the node.
    pub left: Vec<Site>,
    /// From the right end to the node.
    pub right: Vec<Site>,
    /// Output by output, then by the left bond's entry, then by the right's.
    pub node: Vec<f64>,
    /// Numbers that come out: differences to the first class.
    pub outputs: usize,
}

impl Gauged {
    /// Chooses the bases of a chain in (1, cosine, sine); none if a bond is wider than its core has
    /// independent rows.
    pub fn new(chain: &Chain) -> Option<Self> {
        let leg = chain.leg();
        let mut cores = chain.cores.clone();
        let (mut left, mut right) = (Vec::new(), Vec::new());
        for k in 0..leg {
            let Mode::Qubit(qubit) = cores[k].mode else { return None };
            let (site, passed) = site(qubit, cores[k].left, &cores[k].tall())?;
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
            let (site, passed) = site(qubit, core.right, &seen)?;
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
        Some(Self { left, right, node, outputs: core.dim - 1 })
    }

    pub fn sites(&self) -> impl Iterator<Item = &Site> {
        self.left.iter().chain(&self.right)
    }

    /// Widths of the bonds at the node.
    pub fn at_node(&self) -> [usize; 2] {
        [&self.left, &self.right].map(|side| side.last().map_or(1, |site| site.bond))
    }

    pub fn multiply_adds(&self) -> usize {
        let sites: usize = self.sites().map(|site| 2 * site.from + site.rows.len()).sum();
        sites + self.node.len() + self.outputs * self.at_node()[0]
    }
}

/// A core by rows (a, i): in its new basis, and the matrix that the next core takes.
fn site(qubit: usize, from: usize, rows: &DMatrix<f64>) -> Option<(Site, DMatrix<f64>)> {
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
    let site = Site { qubit, from, bond: rows.ncols(), rows: entries.collect(), pivots };
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

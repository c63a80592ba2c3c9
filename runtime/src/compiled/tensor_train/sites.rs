//! A tensor train as it lies in the file: its sites and the node between them.

use crate::circuit::QUBITS;
use crate::compiled::Measured;
use crate::error::Error;
use crate::format::floats::Floats;
#[cfg(feature = "alloc")]
use alloc::vec::Vec;

/// The widest bond of a train: what keeps the memory of a contraction within 768 bytes.
pub const MAX_BOND: usize = 64;

/// How the entries of cores are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Cores {
    /// `f32`, for targets that compute with them.
    F32 = 0,
    /// `i16` times a power of two a core; integers only.
    I16 = 1,
    /// `i8` times a power of two a core; integers only.
    I8 = 2,
}

impl Cores {
    /// Bytes of an entry.
    pub const fn bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::I16 => 2,
            Self::I8 => 1,
        }
    }
}

/// A validated train, borrowed from a model file.
#[derive(Clone, Copy, Debug)]
pub struct TensorTrain<'a> {
    measured: Measured,
    pub(super) cores: Cores,
    pub(super) left: usize,
    /// Shifts of the node: of its inner sums, and of the logits.
    pub(super) shifts: [u8; 2],
    sites: &'a [[u8; SITE_BYTES]],
    entries: &'a [u8],
}

const SITE_BYTES: usize = 4;

/// A site: the core of one qubit.
#[derive(Clone, Copy, Debug)]
pub struct Site<'a> {
    /// The qubit whose angle it takes.
    pub qubit: usize,
    /// Width of the bond that it reads.
    pub from: usize,
    /// Width of the bond that it writes.
    pub bond: usize,
    /// Integer cores: fraction bits of an entry.
    pub fraction: u8,
    /// Integer cores: bits by which sums are shifted to the right.
    pub shift: u8,
    /// One bit a row (entry times 1, cosine, sine; then the next entry): a unit row. The k-th unit row
    /// goes to the k-th entry of the bond.
    pub pivots: &'a [u8],
    /// The other rows, one after the other.
    pub rows: &'a [u8],
}

/// The node with the free leg: class by class, then by the left bond's entry, then by the right's.
#[derive(Clone, Copy, Debug)]
pub(super) struct Node<'a> {
    pub(super) left: usize,
    pub(super) right: usize,
    pub(super) entries: &'a [u8],
}

impl<'a> TensorTrain<'a> {
    /// Checks a section against the model's classes and the circuit's qubits.
    ///
    /// # Errors
    /// [`Error::BadBackEnd`] or [`Error::NotFinite`].
    pub fn parse(section: &'a [u8], classes: usize, qubits: usize) -> Result<Self, Error> {
        let (measured, rest) = Measured::take(section)?;
        let (&[cores, left, right, inner, outer], rest) =
            rest.split_first_chunk::<5>().ok_or(Error::BadBackEnd)?;
        let all = [Cores::F32, Cores::I16, Cores::I8];
        let cores = *all.get(cores as usize).ok_or(Error::BadBackEnd)?;
        let (left, count) = (left as usize, left as usize + right as usize);
        let (sites, entries) =
            rest.split_at_checked(SITE_BYTES * count).ok_or(Error::BadBackEnd)?;
        let others = classes.checked_sub(1).ok_or(Error::BadBackEnd)?;
        if qubits > QUBITS || count > qubits || inner > 31 || outer > 31 {
            return Err(Error::BadBackEnd);
        }
        let sites = sites.as_chunks().0;
        let train = Self { measured, cores, left, shifts: [inner, outer], sites, entries };
        let mut walk = train.sites();
        let mut taken = 0_u16;
        for _ in 0..count {
            let site = walk.next().ok_or(Error::BadBackEnd)?;
            if site.qubit >= qubits || taken >> site.qubit & 1 == 1 || !site.is_sound() {
                return Err(Error::BadBackEnd);
            }
            taken |= 1 << site.qubit;
            if cores == Cores::F32 {
                Floats::parse(site.rows, site.rows.len() / 4, Error::BadBackEnd)?;
            }
        }
        let node = walk.node();
        if node.entries.len() != others * node.left * node.right * cores.bytes() {
            return Err(Error::BadBackEnd);
        }
        if cores == Cores::F32 {
            Floats::parse(node.entries, node.entries.len() / 4, Error::BadBackEnd)?;
        }
        Ok(train)
    }

    /// What the compiler measured.
    pub fn measured(&self) -> &Measured {
        &self.measured
    }

    /// How its cores are stored.
    pub fn cores(&self) -> Cores {
        self.cores
    }

    /// The widest bond.
    pub fn widest(&self) -> usize {
        self.sites().map(|site| site.bond).max().unwrap_or(1)
    }

    /// Sites left of the node, the others being right of it.
    pub fn left(&self) -> usize {
        self.left
    }

    /// The sites in the order of the file: from the left end to the node, then from the right end.
    pub fn sites(&self) -> Sites<'a> {
        Sites {
            cores: self.cores,
            before_right: self.left,
            sites: self.sites,
            bonds: [1, 1],
            entries: self.entries,
        }
    }
}

impl Site<'_> {
    /// Whether the bonds and the unit rows fit each other.
    fn is_sound(&self) -> bool {
        let units: u32 = self.pivots.iter().map(|byte| byte.count_ones()).sum();
        let beyond = self.pivots.last().map_or(0, |&byte| {
            let used = 3 * self.from - 8 * (self.pivots.len() - 1);
            u32::from(byte) >> used
        });
        units as usize == self.bond && beyond == 0 && self.fraction <= 15 && self.shift <= 31
    }
}

/// Iterator over the sites of a [`TensorTrain`].
#[derive(Clone, Debug)]
pub struct Sites<'a> {
    cores: Cores,
    before_right: usize,
    sites: &'a [[u8; SITE_BYTES]],
    /// The bond left of what is still to come, and the one right of it.
    bonds: [usize; 2],
    entries: &'a [u8],
}

impl<'a> Sites<'a> {
    /// After the last site: the node.
    pub(super) fn node(&self) -> Node<'a> {
        Node { left: self.bonds[0], right: self.bonds[1], entries: self.entries }
    }
}

impl<'a> Iterator for Sites<'a> {
    type Item = Site<'a>;

    fn next(&mut self) -> Option<Site<'a>> {
        let (&[qubit, bond, fraction, shift], sites) = self.sites.split_first()?;
        let side = if self.before_right > 0 { &mut self.bonds[0] } else { &mut self.bonds[1] };
        let (from, bond) = (*side, bond as usize);
        let others = (3 * from).checked_sub(bond)?;
        if bond == 0 || bond > MAX_BOND {
            return None;
        }
        let (pivots, rest) = self.entries.split_at_checked((3 * from).div_ceil(8))?;
        let (rows, rest) = rest.split_at_checked(others * bond * self.cores.bytes())?;
        *side = bond;
        self.before_right = self.before_right.saturating_sub(1);
        (self.sites, self.entries) = (sites, rest);
        Some(Site { qubit: qubit as usize, from, bond, fraction, shift, pivots, rows })
    }
}

/// A site as the compiler gives it.
#[cfg(feature = "alloc")]
#[derive(Clone, Debug, PartialEq)]
pub struct Link {
    /// The qubit.
    pub qubit: u8,
    /// Width of the bond that it writes.
    pub bond: u8,
    /// As [`Site::fraction`](Site::fraction).
    pub fraction: u8,
    /// As [`Site::shift`](Site::shift).
    pub shift: u8,
    /// Which rows are unit rows.
    pub pivots: Vec<bool>,
    /// The other rows; whole numbers for integer cores.
    pub rows: Vec<f32>,
}

/// A train as the compiler gives it.
#[cfg(feature = "alloc")]
#[derive(Clone, Debug, PartialEq)]
pub struct Chain {
    /// How the entries are stored.
    pub cores: Cores,
    /// From the left end to the node.
    pub left: Vec<Link>,
    /// From the right end to the node.
    pub right: Vec<Link>,
    /// Shifts at the node, as the format has them.
    pub shifts: [u8; 2],
    /// The node: class by class but the first, then by the left bond's entry, then by the right's.
    pub node: Vec<f32>,
}

/// A section of what was measured and the train.
#[cfg(feature = "alloc")]
pub fn section(measured: &Measured, chain: &Chain) -> Vec<u8> {
    let mut bytes = measured.bytes();
    bytes.push(chain.cores as u8);
    bytes.extend([chain.left.len() as u8, chain.right.len() as u8]);
    bytes.extend(chain.shifts);
    let links = || chain.left.iter().chain(&chain.right);
    for link in links() {
        bytes.extend([link.qubit, link.bond, link.fraction, link.shift]);
    }
    for link in links() {
        for flags in link.pivots.chunks(8) {
            bytes.push(flags.iter().enumerate().fold(0, |byte, (i, &f)| byte | u8::from(f) << i));
        }
        put(chain.cores, &link.rows, &mut bytes);
    }
    put(chain.cores, &chain.node, &mut bytes);
    bytes
}

#[cfg(feature = "alloc")]
fn put(cores: Cores, entries: &[f32], bytes: &mut Vec<u8>) {
    for &x in entries {
        match cores {
            Cores::F32 => bytes.extend(x.to_le_bytes()),
            Cores::I16 => bytes.extend((x as i16).to_le_bytes()),
            Cores::I8 => bytes.extend((x as i8).to_le_bytes()),
        }
    }
}

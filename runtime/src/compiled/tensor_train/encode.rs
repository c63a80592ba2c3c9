//! A train as the compiler gives it, and its section.

use super::sites::Cores;
use crate::compiled::measured::Measured;
use alloc::vec::Vec;

/// A site as the compiler gives it.
#[derive(Clone, Debug, PartialEq)]
pub struct Link {
    /// The qubit.
    pub qubit: u8,
    /// Width of the bond that it writes.
    pub bond: u8,
    /// As [`Site::fraction`](super::Site::fraction).
    pub fraction: u8,
    /// As [`Site::shift`](super::Site::shift).
    pub shift: u8,
    /// Which rows are unit rows.
    pub pivots: Vec<bool>,
    /// The other rows; whole numbers for integer cores.
    pub rows: Vec<f32>,
}

/// A train as the compiler gives it.
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

fn put(cores: Cores, entries: &[f32], bytes: &mut Vec<u8>) {
    for &x in entries {
        match cores {
            Cores::F32 => bytes.extend(x.to_le_bytes()),
            Cores::I16 => bytes.extend((x as i16).to_le_bytes()),
            Cores::I8 => bytes.extend((x as i8).to_le_bytes()),
        }
    }
}

//! The polynomial back end: logits as sums of the trained circuit's most telling monomials in the
//! cosines and sines of the encoder angles, evaluated in integers only.
//!
//! Every logit of an encoder-then-ansatz circuit is multilinear in (1, cos, sin) of each angle, so a
//! truncated sum of products is the circuit itself less its small terms. Monomials share their leading
//! factors: they are the nodes of a tree, each one multiplication away from its parent. The section is
//! optional: a reader without this back end runs the statevector.
//!
//! The same integers come out on every target. A node's value is rounded to 2^-14 once a factor.

use crate::circuit::QUBITS;
use crate::compiled::Measured;
use crate::error::Error;
use crate::integer::sin_cos_q15;

/// Nodes that a model may carry.
pub const MAX_NODES: usize = 2048;
/// Fraction bits of the values of nodes.
pub const VALUE_BITS: u32 = 14;
/// Fraction bits that a weight may have: at least 2, so that sums have 16 or more.
pub const WEIGHT_BITS: core::ops::RangeInclusive<u8> = 2..=16;

/// Bits of a stored node: qubit, then whether its sine (not its cosine) is the factor.
const FACTOR: u16 = 0x1f;
const SINE: u16 = 0x10;
/// Where a stored node says how many factors its parent has.
const DEPTH: u32 = 5;
/// The bit of a stored node after which weights follow.
const WEIGHTED: u16 = 1 << 15;

/// One node of the tree of monomials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Node<'a> {
    /// How many factors its parent has: 0 for a monomial of one factor.
    pub depth: usize,
    /// The qubit of the factor that it adds.
    pub qubit: usize,
    /// Whether that factor is the sine, not the cosine.
    pub sine: bool,
    /// `i16` little endian, one a class but the first; empty for a node that is only a parent.
    weights: &'a [u8],
}

impl Node<'_> {
    /// What the monomial counts in each class's logit but the first, in units of the section's weights.
    pub fn weights(&self) -> impl Iterator<Item = i16> + '_ {
        self.weights.as_chunks::<2>().0.iter().map(|b| i16::from_le_bytes(*b))
    }
}

/// A validated polynomial, borrowed from a model file.
#[derive(Clone, Copy, Debug)]
pub struct Polynomial<'a> {
    #[cfg(feature = "alloc")]
    measured: Measured,
    weight_bits: u8,
    /// `i32` little endian, one a class but the first.
    constants: &'a [u8],
    nodes: &'a [u8],
}

impl<'a> Polynomial<'a> {
    /// Checks a section against the model's classes and the circuit's qubits.
    ///
    /// # Errors
    /// [`Error::BadBackEnd`].
    pub fn parse(section: &'a [u8], classes: usize, qubits: usize) -> Result<Self, Error> {
        #[cfg(feature = "alloc")]
        let (measured, rest) = Measured::take(section)?;
        #[cfg(not(feature = "alloc"))]
        let rest = Measured::skip(section)?;
        let (&[weight_bits, low, high], rest) =
            rest.split_first_chunk::<3>().ok_or(Error::BadBackEnd)?;
        let count = u16::from_le_bytes([low, high]) as usize;
        let others = classes.checked_sub(1).ok_or(Error::BadBackEnd)?;
        let (constants, nodes) = rest.split_at_checked(4 * others).ok_or(Error::BadBackEnd)?;
        if !WEIGHT_BITS.contains(&weight_bits) || count > MAX_NODES || qubits > QUBITS {
            return Err(Error::BadBackEnd);
        }
        let polynomial = Self {
            #[cfg(feature = "alloc")]
            measured,
            weight_bits,
            constants,
            nodes,
        };
        let mut walk = polynomial.nodes();
        let mut deepest = 0;
        for _ in 0..count {
            let node = walk.next().ok_or(Error::BadBackEnd)?;
            if node.depth > deepest || node.depth >= QUBITS || node.qubit >= qubits {
                return Err(Error::BadBackEnd);
            }
            deepest = node.depth + 1;
        }
        if walk.rest.is_empty() { Ok(polynomial) } else { Err(Error::BadBackEnd) }
    }

    /// What the compiler measured; a device does not decode it.
    #[cfg(feature = "alloc")]
    pub fn measured(&self) -> &Measured {
        &self.measured
    }

    /// The nodes in the order of the file: a parent stands before its children.
    pub fn nodes(&self) -> Nodes<'a> {
        Nodes { weights: self.constants.len() / 2, rest: self.nodes }
    }

    /// Logits less that of the first class, in Q16, at the encoder's phases (2^32 is one turn) into
    /// the front of `logits_q16`.
    ///
    /// Sums are modulo 2^32; the compiler chooses the weights' unit so that none can pass it.
    pub fn logits(&self, phases: &[u32; QUBITS], logits_q16: &mut [i32]) {
        // By the stored factor; with 32 entries no index of 5 bits needs a check.
        let mut factors = [0_i32; 32];
        let (cosines, sines) = factors.split_at_mut(SINE as usize);
        for ((cos, sin), &phase) in cosines.iter_mut().zip(sines).zip(phases) {
            let (s, c) = sin_cos_q15(phase);
            (*sin, *cos) = (rounded(s, 15 - VALUE_BITS), rounded(c, 15 - VALUE_BITS));
        }
        let mut values = [1_i32 << VALUE_BITS; 16];
        let Some((first, sums)) = logits_q16.split_first_mut() else { return };
        *first = 0;
        let constants = self.constants.as_chunks::<4>().0;
        for (sum, constant) in sums.iter_mut().zip(constants) {
            *sum = i32::from_le_bytes(*constant);
        }
        let sums = sums.get_mut(..constants.len()).unwrap_or_default();
        let mut units = self.nodes.as_chunks::<2>().0;
        while let Some((stored, rest)) = units.split_first() {
            units = rest;
            let stored = u16::from_le_bytes(*stored);
            let depth = (stored >> DEPTH) as usize;
            let factor = factors[(stored & FACTOR) as usize];
            let value = rounded(values[depth & 15] * factor, VALUE_BITS);
            values[(depth + 1) & 15] = value;
            if stored & WEIGHTED != 0 {
                let Some((weights, rest)) = units.split_at_checked(sums.len()) else { break };
                units = rest;
                for (sum, weight) in sums.iter_mut().zip(weights) {
                    *sum = sum.wrapping_add(value * i32::from(i16::from_le_bytes(*weight)));
                }
            }
        }
        let excess = VALUE_BITS + u32::from(self.weight_bits) - 16;
        for sum in sums.iter_mut() {
            *sum = rounded(*sum, excess);
        }
    }
}

/// `x / 2^bits` to the nearest, upwards from the middle; the sum with one half does not overflow for
/// what the compiler makes, and wraps for anything else.
fn rounded(x: i32, bits: u32) -> i32 {
    x.wrapping_add((1 << bits) >> 1) >> bits
}

/// Iterator over the nodes of a [`Polynomial`].
#[derive(Clone, Debug)]
pub struct Nodes<'a> {
    weights: usize,
    rest: &'a [u8],
}

impl<'a> Iterator for Nodes<'a> {
    type Item = Node<'a>;

    #[inline]
    fn next(&mut self) -> Option<Node<'a>> {
        let (head, rest) = self.rest.split_first_chunk::<2>()?;
        let stored = u16::from_le_bytes(*head);
        let length = if stored & WEIGHTED == 0 { 0 } else { self.weights };
        let (weights, rest) = rest.split_at_checked(length)?;
        self.rest = rest;
        Some(Node {
            depth: (stored & !WEIGHTED) as usize >> DEPTH,
            qubit: (stored & (FACTOR & !SINE)) as usize,
            sine: stored & SINE != 0,
            weights,
        })
    }
}

/// A node as the compiler gives it.
#[cfg(feature = "alloc")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnedNode {
    /// As [`Node::depth`].
    pub depth: usize,
    /// As [`Node::qubit`].
    pub qubit: usize,
    /// As [`Node::sine`].
    pub sine: bool,
    /// As [`Node::weights`]; empty for a node that is only a parent.
    pub weights: alloc::vec::Vec<i16>,
}

/// A section: what was measured, fraction bits of the weights, one constant (in units of
/// `2^-(weight_bits + VALUE_BITS)`) a class but the first, and the tree.
#[cfg(feature = "alloc")]
pub fn section(
    measured: &Measured,
    weight_bits: u8,
    constants: &[i32],
    nodes: &[OwnedNode],
) -> alloc::vec::Vec<u8> {
    let mut bytes = measured.bytes();
    bytes.push(weight_bits);
    bytes.extend_from_slice(&(nodes.len() as u16).to_le_bytes());
    constants.iter().for_each(|c| bytes.extend_from_slice(&c.to_le_bytes()));
    for node in nodes {
        let weighted = if node.weights.is_empty() { 0 } else { WEIGHTED };
        let factor = node.qubit as u16 | if node.sine { SINE } else { 0 };
        let stored = factor | (node.depth as u16) << DEPTH | weighted;
        bytes.extend_from_slice(&stored.to_le_bytes());
        node.weights.iter().for_each(|w| bytes.extend_from_slice(&w.to_le_bytes()));
    }
    bytes
}

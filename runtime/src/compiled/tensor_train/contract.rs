//! Angles to logits: vectors carried along the chain from both ends to the node.

use super::sites::{Cores, MAX_BOND, Node, Site, TensorTrain};
use crate::circuit::QUBITS;
use crate::error::Error;
use crate::integer::sin_cos_q15;
use crate::math::Value;

/// The memory of a contraction, 768 bytes.
#[derive(Clone, Debug)]
pub struct Work([Vector; 3]);

impl Work {
    /// Fresh memory; usable in a `static`.
    pub const fn new() -> Self {
        Self([[0; MAX_BOND]; 3])
    }
}

impl Default for Work {
    fn default() -> Self {
        Self::new()
    }
}

/// A vector of the contraction: the bits of `i32` or `f32` entries.
type Vector = [u32; MAX_BOND];
/// (cosine, sine) by qubit; with 16 entries no index of 4 bits needs a check.
type Circles<T> = [[T; 2]; 16];

impl TensorTrain<'_> {
    /// With integer cores: logits less that of the first class, in Q16, at the encoder's phases (2^32
    /// is one turn) into the front of `logits_q16`.
    ///
    /// # Errors
    /// [`Error::NoBackEnd`] if the cores are `f32`.
    pub fn logits(
        &self,
        phases: &[u32; QUBITS],
        work: &mut Work,
        logits_q16: &mut [i32],
    ) -> Result<(), Error> {
        let mut circles = [[0; 2]; 16];
        for (circle, &phase) in circles.iter_mut().zip(phases) {
            let (sin, cos) = sin_cos_q15(phase);
            *circle = [cos, sin].map(|x| (x + (1 << (14 - CIRCLE_BITS))) >> (15 - CIRCLE_BITS));
        }
        match self.cores {
            Cores::F32 => return Err(Error::NoBackEnd),
            Cores::I16 => self.contract::<Integer<2>>(&circles, work, logits_q16),
            Cores::I8 => self.contract::<Integer<1>>(&circles, work, logits_q16),
        }
        Ok(())
    }

    /// With `f32` cores: logits less that of the first class at encoder angles (radians, one a qubit)
    /// into the front of `logits`.
    ///
    /// # Errors
    /// [`Error::NoBackEnd`] if the cores are integers.
    pub fn logits_f32(
        &self,
        angles_rad: &[f32],
        work: &mut Work,
        logits: &mut [f32],
    ) -> Result<(), Error> {
        if self.cores != Cores::F32 {
            return Err(Error::NoBackEnd);
        }
        let mut circles = [[0.0; 2]; 16];
        for (circle, &angle) in circles.iter_mut().zip(angles_rad) {
            let (sin, cos) = Value::sin_cos(angle);
            *circle = [cos, sin];
        }
        self.contract::<Float>(&circles, work, logits);
        Ok(())
    }

    fn contract<A: Arithmetic>(
        &self,
        circles: &Circles<A::Value>,
        work: &mut Work,
        logits: &mut [A::Value],
    ) {
        let Work([left, right, sums]) = work;
        (left[0], right[0]) = (A::bits(A::ONE), A::bits(A::ONE));
        let mut sites = self.sites();
        for site in sites.by_ref().take(self.left) {
            absorb::<A>(&site, circles[site.qubit & 15], left, sums);
        }
        for site in sites.by_ref() {
            absorb::<A>(&site, circles[site.qubit & 15], right, sums);
        }
        let Some((first, logits)) = logits.split_first_mut() else { return };
        *first = A::ZERO;
        close::<A>(&sites.node(), self.shifts, left, right, logits);
    }
}

/// Carries `vector` through a site.
fn absorb<A: Arithmetic>(
    site: &Site<'_>,
    [cos, sin]: [A::Value; 2],
    vector: &mut Vector,
    sums: &mut Vector,
) {
    let Some(sums) = sums.get_mut(..site.bond) else { return };
    sums.fill(A::bits(A::ZERO));
    let (mut rows, width) = (site.rows, site.bond * A::BYTES);
    let (mut row, mut unit) = (0, 0);
    for &value in vector.iter().take(site.from) {
        let value = A::value(value);
        for value in [value, A::turned(value, cos), A::turned(value, sin)] {
            let pivots = site.pivots.get(row / 8).map_or(0, |&byte| byte);
            if pivots >> (row % 8) & 1 == 1 {
                if let Some(sum) = sums.get_mut(unit) {
                    *sum = A::bits(A::add(A::value(*sum), value, site.fraction));
                }
                unit += 1;
            } else if let Some((entries, rest)) = rows.split_at_checked(width) {
                rows = rest;
                for (sum, entry) in sums.iter_mut().zip(A::entries(entries)) {
                    *sum = A::bits(A::mul_add(A::value(*sum), value, entry));
                }
            }
            row += 1;
        }
    }
    for (to, sum) in vector.iter_mut().zip(sums) {
        *to = A::bits(A::settle(A::value(*sum), site.shift));
    }
}

/// Joins both vectors at the node.
fn close<A: Arithmetic>(
    node: &Node<'_>,
    [inner, outer]: [u8; 2],
    left: &Vector,
    right: &Vector,
    logits: &mut [A::Value],
) {
    let (mut rows, width) = (node.entries, node.right * A::BYTES);
    let classes = node.entries.len() / (node.left * node.right * A::BYTES).max(1);
    for logit in logits.iter_mut().take(classes) {
        let mut total = A::NOTHING;
        for &left in left.iter().take(node.left) {
            let Some((row, rest)) = rows.split_at_checked(width) else { break };
            rows = rest;
            let entries = A::entries(row).zip(right);
            let sum = entries.fold(A::ZERO, |sum, (entry, &r)| A::mul_add(sum, A::value(r), entry));
            total = A::join(total, A::value(left), A::settle(sum, inner));
        }
        *logit = A::logit(total, outer);
    }
}

/// Fraction bits of cosines and sines in integers.
const CIRCLE_BITS: u32 = 14;
/// Fraction bits of the 1 that a contraction begins with, in integers.
const ONE_BITS: u32 = 14;

trait Arithmetic {
    /// An entry of a vector or a sum.
    type Value: Copy;
    /// A sum over the left bond at the node.
    type Total: Copy;
    const BYTES: usize;
    const ZERO: Self::Value;
    /// What the vector at an end holds.
    const ONE: Self::Value;
    const NOTHING: Self::Total;
    fn value(bits: u32) -> Self::Value;
    fn bits(value: Self::Value) -> u32;
    fn entries(row: &[u8]) -> impl Iterator<Item = Self::Value>;
    fn turned(value: Self::Value, circle: Self::Value) -> Self::Value;
    /// `sum + value`, of a unit row.
    fn add(sum: Self::Value, value: Self::Value, fraction: u8) -> Self::Value;
    fn mul_add(sum: Self::Value, value: Self::Value, entry: Self::Value) -> Self::Value;
    /// A sum as an entry of the next vector.
    fn settle(sum: Self::Value, shift: u8) -> Self::Value;
    fn join(total: Self::Total, left: Self::Value, sum: Self::Value) -> Self::Total;
    /// A total as a logit.
    fn logit(total: Self::Total, shift: u8) -> Self::Value;
}

struct Float;

impl Arithmetic for Float {
    type Value = f32;
    type Total = f32;
    const BYTES: usize = 4;
    const ZERO: f32 = 0.0;
    const ONE: f32 = 1.0;
    const NOTHING: f32 = 0.0;
    fn value(bits: u32) -> f32 {
        f32::from_bits(bits)
    }
    fn bits(value: f32) -> u32 {
        value.to_bits()
    }
    fn entries(row: &[u8]) -> impl Iterator<Item = f32> {
        row.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b))
    }
    fn turned(value: f32, circle: f32) -> f32 {
        value * circle
    }
    fn add(sum: f32, value: f32, _: u8) -> f32 {
        sum + value
    }
    fn mul_add(sum: f32, value: f32, entry: f32) -> f32 {
        sum + value * entry
    }
    fn settle(sum: f32, _: u8) -> f32 {
        sum
    }
    fn join(total: f32, left: f32, sum: f32) -> f32 {
        total + left * sum
    }
    fn logit(total: f32, _: u8) -> f32 {
        total
    }
}

/// Integers, the entries of cores stored in `BYTES` bytes.
struct Integer<const BYTES: usize>;

/// Rounds to the nearest and keeps within 16 bits: an entry beyond is held at the end of the range.
fn settled(sum: i32, shift: u8) -> i32 {
    let half = (1_i32 << (shift & 31)) >> 1;
    (sum.wrapping_add(half) >> (shift & 31)).clamp(-(1 << 15), (1 << 15) - 1)
}

macro_rules! integer {
    ($bytes:literal, $entry:ty) => {
        impl Arithmetic for Integer<$bytes> {
            type Value = i32;
            type Total = i64;
            const BYTES: usize = $bytes;
            const ZERO: i32 = 0;
            const ONE: i32 = 1 << ONE_BITS;
            const NOTHING: i64 = 0;
            fn value(bits: u32) -> i32 {
                bits as i32
            }
            fn bits(value: i32) -> u32 {
                value as u32
            }
            fn entries(row: &[u8]) -> impl Iterator<Item = i32> {
                row.as_chunks::<$bytes>().0.iter().map(|b| i32::from(<$entry>::from_le_bytes(*b)))
            }
            fn turned(value: i32, circle: i32) -> i32 {
                (value * circle + (1 << (CIRCLE_BITS - 1))) >> CIRCLE_BITS
            }
            fn add(sum: i32, value: i32, fraction: u8) -> i32 {
                sum.wrapping_add(value << (fraction & 15))
            }
            fn mul_add(sum: i32, value: i32, entry: i32) -> i32 {
                sum.wrapping_add(value * entry)
            }
            fn settle(sum: i32, shift: u8) -> i32 {
                settled(sum, shift)
            }
            fn join(total: i64, left: i32, sum: i32) -> i64 {
                total + i64::from(left * sum)
            }
            fn logit(total: i64, shift: u8) -> i32 {
                let half = (1_i64 << (shift & 31)) >> 1;
                let rounded = (total + half) >> (shift & 31);
                rounded.clamp(i64::from(i32::MIN), i64::from(i32::MAX)) as i32
            }
        }
    };
}

integer!(2, i16);
integer!(1, i8);

//! The arithmetic of a contraction: `f32`, or integers of 16 bits with sums of 32.

/// Fraction bits of cosines and sines in integers.
pub(super) const CIRCLE_BITS: u32 = 14;
/// Fraction bits of the 1 that a contraction begins with, in integers.
pub(super) const ONE_BITS: u32 = 14;

/// How entries are read, multiplied and added.
pub(super) trait Arithmetic {
    /// An entry of a vector or a sum.
    type Value: Copy;
    /// A sum over the left bond at the node.
    type Total: Copy;
    /// Bytes of a stored entry.
    const BYTES: usize;
    /// Zero.
    const ZERO: Self::Value;
    /// What the vector at an end holds.
    const ONE: Self::Value;
    /// No sum.
    const NOTHING: Self::Total;
    /// The value that memory holds as bits.
    fn value(bits: u32) -> Self::Value;
    /// The bits of a value.
    fn bits(value: Self::Value) -> u32;
    /// The entries of a row.
    fn entries(row: &[u8]) -> impl Iterator<Item = Self::Value>;
    /// An entry times a cosine or sine.
    fn turned(value: Self::Value, circle: Self::Value) -> Self::Value;
    /// `sum + value`, of a unit row.
    fn add(sum: Self::Value, value: Self::Value, fraction: u8) -> Self::Value;
    /// `sum + value * entry`.
    fn mul_add(sum: Self::Value, value: Self::Value, entry: Self::Value) -> Self::Value;
    /// A sum as an entry of the next vector.
    fn settle(sum: Self::Value, shift: u8) -> Self::Value;
    /// `total + left * sum`.
    fn join(total: Self::Total, left: Self::Value, sum: Self::Value) -> Self::Total;
    /// A total as a logit.
    fn logit(total: Self::Total, shift: u8) -> Self::Value;
}

/// `f32` all through.
pub(super) struct Float;

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
pub(super) struct Integer<const BYTES: usize>;

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

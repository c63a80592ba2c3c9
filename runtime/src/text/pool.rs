//! N-grams to the pooled feature vector: the rows of the n-grams found, summed.

use crate::circuit::QUBITS;
use crate::error::Error;
use crate::math::sqrt;
use crate::text::ngram::Gram;
use crate::text::vocabulary::Vocabulary;

/// Integers a row has: one an encoder angle.
pub const ROW: usize = QUBITS;

/// How many bits an entry of a row takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum RowBits {
    /// Two's complement, -8..=7; rows follow each other without padding, low nibble first.
    Four,
    /// Two's complement, -128..=127.
    Eight,
}

impl RowBits {
    /// Bits an entry takes.
    pub const fn bits(self) -> usize {
        match self {
            Self::Four => 4,
            Self::Eight => 8,
        }
    }

    /// Bytes of a table of `rows` rows.
    pub const fn table_bytes(self, rows: usize) -> usize {
        (rows * ROW * self.bits()).div_ceil(8)
    }
}

/// How the sum of the rows found becomes features.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Pool {
    /// Divided by the number of n-grams found.
    Mean,
    /// Divided by its square root: a longer text may speak louder.
    Root,
}

impl Pool {
    /// What divides the sum of `found` rows; 1 for none.
    pub fn divisor(self, found: u32) -> f32 {
        let count = found.max(1) as f32;
        match self {
            Self::Mean => count,
            Self::Root => sqrt(count),
        }
    }
}

/// The integer row table, borrowed from a model file.
#[derive(Clone, Copy, Debug)]
pub struct Rows<'a> {
    bits: RowBits,
    table: &'a [u8],
}

impl<'a> Rows<'a> {
    /// Checks the table's size.
    ///
    /// # Errors
    /// [`Error::BadRows`].
    pub fn parse(bits: RowBits, rows: usize, table: &'a [u8]) -> Result<Self, Error> {
        if table.len() == bits.table_bytes(rows) {
            Ok(Self { bits, table })
        } else {
            Err(Error::BadRows)
        }
    }

    /// Adds row `row` to `sums`.
    pub fn add(&self, row: usize, sums: &mut [i32; ROW]) {
        for (i, sum) in sums.iter_mut().enumerate() {
            let at = row * ROW + i;
            let entry = match self.bits {
                RowBits::Eight => self.table.get(at).map_or(0, |&b| b as i8),
                RowBits::Four => {
                    let byte = self.table.get(at / 2).map_or(0, |&b| b);
                    // Shift the nibble to the top, then back with its sign.
                    ((byte << (4 * (1 - at % 2))) as i8) >> 4
                }
            };
            *sum += i32::from(entry);
        }
    }
}

/// The sums of the rows of all n-grams found, and how many were found.
pub fn pool(
    grams: impl Iterator<Item = Gram>,
    vocab: &Vocabulary<'_>,
    rows: &Rows<'_>,
) -> ([i32; ROW], u32) {
    let mut sums = [0; ROW];
    let mut found = 0_u32;
    for row in grams.filter_map(|gram| vocab.row(gram.hash)) {
        // 2^23 rows of +-128 fit an i32: a text longer than that is cut here.
        if found == 1 << 23 {
            break;
        }
        rows.add(row, &mut sums);
        found += 1;
    }
    (sums, found)
}

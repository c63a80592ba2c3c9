//! The selected vocabulary: hash of an n-gram to its row, by binary search among sorted keys.
//!
//! A key is 16 to 24 bits of the hash. Its upper bits choose a bucket, its lower 16 bits are
//! searched within the bucket: two bytes a key instead of three, and a shorter search.

use crate::error::Error;

/// Upper bits of a key at most.
pub const MAX_BUCKET_BITS: u8 = 8;
/// Rows at most.
pub const MAX_ROWS: usize = u16::MAX as usize;

/// The bits of an n-gram's hash that tell it apart: `16 + bucket_bits` of them, the rest folded in.
pub fn key(hash: u32, bucket_bits: u8) -> u32 {
    let bits = 16 + bucket_bits as u32;
    (hash ^ (hash >> bits)) & ((1 << bits) - 1)
}

/// The bucket bits that suit a number of rows: about 16 rows a bucket, 8 bits at most.
pub fn bucket_bits_for(rows: usize) -> u8 {
    let mut bits = 0;
    while bits < MAX_BUCKET_BITS && rows >> bits > 16 {
        bits += 1;
    }
    bits
}

/// A validated vocabulary, borrowed from a model file.
#[derive(Clone, Copy, Debug)]
pub struct Vocabulary<'a> {
    bucket_bits: u8,
    /// `2^bucket_bits` ends of buckets, `u16` little endian.
    ends: &'a [[u8; 2]],
    /// One `u16` little endian a row, sorted within its bucket.
    keys: &'a [[u8; 2]],
}

impl<'a> Vocabulary<'a> {
    /// Checks the two tables.
    ///
    /// # Errors
    /// [`Error::BadVocabulary`] when sizes disagree, buckets shrink or keys are not ascending.
    pub fn parse(
        bucket_bits: u8,
        rows: usize,
        ends: &'a [u8],
        keys: &'a [u8],
    ) -> Result<Self, Error> {
        let sizes = bucket_bits <= MAX_BUCKET_BITS
            && (1..=MAX_ROWS).contains(&rows)
            && ends.len() == 2 << bucket_bits
            && keys.len() == 2 * rows;
        if !sizes {
            return Err(Error::BadVocabulary);
        }
        let (ends, keys) = (ends.as_chunks().0, keys.as_chunks().0);
        let mut start = 0;
        for bucket in 0..1_usize << bucket_bits {
            let end = u16_at(ends, bucket) as usize;
            let unsorted = |i| u16_at(keys, i) <= u16_at(keys, i - 1);
            if end < start || end > rows || (start + 1..end).any(unsorted) {
                return Err(Error::BadVocabulary);
            }
            start = end;
        }
        if start != rows {
            return Err(Error::BadVocabulary);
        }
        Ok(Self { bucket_bits, ends, keys })
    }

    /// Rows of the vocabulary.
    pub fn rows(&self) -> usize {
        self.keys.len()
    }

    /// The row of an n-gram's hash, if it was selected.
    pub fn row(&self, hash: u32) -> Option<usize> {
        let key = key(hash, self.bucket_bits);
        let (bucket, low) = ((key >> 16) as usize, key as u16);
        let from = if bucket == 0 { 0 } else { u16_at(self.ends, bucket - 1) as usize };
        let keys = self.keys.get(from..u16_at(self.ends, bucket) as usize)?;
        let found = keys.binary_search_by_key(&low, |bytes| u16::from_le_bytes(*bytes));
        found.ok().map(|place| from + place)
    }
}

/// Element `i` of a little-endian `u16` table; 0 beyond its end, which validated tables never reach.
#[inline(never)]
fn u16_at(table: &[[u8; 2]], i: usize) -> u16 {
    table.get(i).map_or(0, |bytes| u16::from_le_bytes(*bytes))
}

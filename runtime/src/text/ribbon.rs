//! The keyless table of compact models: hash of an n-gram to a number of a few bits, by a ribbon of parities.
//!
//! Every n-gram of the vocabulary has an entry of `bits` bits and no key. The table is a matrix of `slots` rows and `bits`
//! columns of bits; an entry's bit `j` is the parity of those rows of column `j` that the hash chooses among 32
//! neighbouring ones (a homogeneous band; Dillinger and Walzer 2021, arXiv 2103.02515). The lowest bits of an entry are a
//! fingerprint: a foreign n-gram passes for one of the vocabulary with a chance of `2^-fingerprint`.
//!
//! The columns lie one after the other, each in whole bytes, lowest bit first, so that a foreign n-gram is told after
//! about two parities.

use crate::error::Error;

/// Rows of the table that a hash chooses from.
const BAND: usize = 32;
/// Slots at most: their number has 16 bits.
pub const MAX_SLOTS: usize = u16::MAX as usize;
/// Bits of a fingerprint at most.
pub const MAX_FINGERPRINT: u8 = 12;

/// Where an n-gram's bits lie.
#[derive(Clone, Copy, Debug)]
struct Place {
    /// First slot of its band.
    start: usize,
    /// Which slots of the band count, the lowest bit first; bit 0 is set.
    chosen: u32,
    fingerprint: u32,
}

impl Place {
    fn of(hash: u32, seed: u8, slots: usize, fingerprint_bits: u8) -> Self {
        let first = mixed(hash ^ u32::from(seed).wrapping_mul(0x9e37_79b9));
        let starts = slots.saturating_sub(BAND) + 1;
        Self {
            // Both factors have 16 bits.
            start: (((first >> 16) * starts as u32) >> 16) as usize,
            chosen: mixed(first.wrapping_add(0x7f4a_7c15)) | 1,
            fingerprint: first & ((1 << fingerprint_bits) - 1),
        }
    }
}

/// Every bit of the result depends on every bit of `x` (the finaliser of `MurmurHash3`, Appleby, public domain).
fn mixed(mut x: u32) -> u32 {
    x = (x ^ (x >> 16)).wrapping_mul(0x85eb_ca6b);
    x = (x ^ (x >> 13)).wrapping_mul(0xc2b2_ae35);
    x ^ (x >> 16)
}

/// A table borrowed from a model file.
#[derive(Clone, Copy, Debug)]
pub struct Ribbon<'a> {
    seed: u8,
    slots: usize,
    fingerprint_bits: u8,
    columns: &'a [u8],
}

/// Bytes of one column.
const fn column_bytes(slots: usize) -> usize {
    slots.div_ceil(8)
}

impl<'a> Ribbon<'a> {
    /// Checks the table's size: `value_bits` bits an entry beside its fingerprint.
    ///
    /// # Errors
    /// [`Error::BadVocabulary`].
    pub fn parse(
        seed: u8,
        slots: u16,
        (fingerprint_bits, value_bits): (u8, usize),
        columns: &'a [u8],
    ) -> Result<Self, Error> {
        let slots = slots as usize;
        let bits = fingerprint_bits as usize + value_bits;
        let right = fingerprint_bits <= MAX_FINGERPRINT && slots >= BAND;
        if right && columns.len() == bits * column_bytes(slots) {
            Ok(Self { seed, slots, fingerprint_bits, columns })
        } else {
            Err(Error::BadVocabulary)
        }
    }

    /// The entry of an n-gram's hash, if its fingerprint is right.
    pub fn entry(&self, hash: u32) -> Option<Entry<'a>> {
        let Place { start, chosen, fingerprint } =
            Place::of(hash, self.seed, self.slots, self.fingerprint_bits);
        let mut bits =
            Entry { rest: self.columns, stride: column_bytes(self.slots), start, chosen };
        let same = |bit: u8| bits.bit() == fingerprint >> bit & 1;
        (0..self.fingerprint_bits).all(same).then_some(bits)
    }
}

/// The value bits of one entry, read one after the other.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    /// The table from the next column on.
    rest: &'a [u8],
    stride: usize,
    start: usize,
    chosen: u32,
}

impl Entry<'_> {
    /// The next `bits` bits, the first of them the lowest; zeros beyond the table.
    pub fn take(&mut self, bits: u8) -> u32 {
        (0..bits).fold(0, |value, i| value | self.bit() << i)
    }

    fn bit(&mut self) -> u32 {
        let at = self.start / 8;
        let band = self.rest.get(at..).unwrap_or_default();
        // The band begins anywhere in a byte: it lies in five of them, of which the last may be past the column.
        let low = band.first_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes));
        let high = u32::from(band.get(4).copied().unwrap_or(0));
        let shift = self.start as u32 % 8;
        let window = low >> shift | (high << 1) << (31 - shift);
        self.rest = self.rest.get(self.stride..).unwrap_or_default();
        parity(window & self.chosen)
    }
}

fn parity(mut x: u32) -> u32 {
    x ^= x >> 16;
    x ^= x >> 8;
    x ^= x >> 4;
    // The parities of all half bytes, as a table of bits.
    0x6996 >> (x & 15) & 1
}

/// A solved table: its seed, its slots, its columns of bits.
#[cfg(feature = "alloc")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Solved {
    /// Chooses the bands.
    pub seed: u8,
    /// Rows of the matrix.
    pub slots: u16,
    /// The columns, one after the other.
    pub columns: alloc::vec::Vec<u8>,
}

/// Solves the smallest table that holds `entries` (hash and value, each hash once, at most 64 bits with the
/// fingerprint); seeds are tried in order for each size, so that the result repeats.
///
/// # Errors
/// [`Error::BadVocabulary`] for entries that no table holds: too many, or one hash twice.
#[cfg(feature = "alloc")]
pub fn solve(
    entries: &[(u32, alloc::vec::Vec<bool>)],
    fingerprint_bits: u8,
) -> Result<Solved, Error> {
    let mut hashes: alloc::vec::Vec<u32> = entries.iter().map(|(hash, _)| *hash).collect();
    hashes.sort_unstable();
    if hashes.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err(Error::BadVocabulary);
    }
    // More than a few thousand need some spare slots whatever the seed.
    let last_seed = if entries.len() <= 4096 { u8::MAX } else { 7 };
    let mut slots = entries.len().max(BAND);
    while slots <= MAX_SLOTS {
        for seed in 0..=last_seed {
            if let Some(columns) = solved(entries, fingerprint_bits, seed, slots) {
                return Ok(Solved { seed, slots: slots as u16, columns });
            }
        }
        slots += slots.div_ceil(256);
    }
    Err(Error::BadVocabulary)
}

/// Gaussian elimination of a banded system over two elements: each equation's first chosen slot is its pivot.
#[cfg(feature = "alloc")]
fn solved(
    entries: &[(u32, alloc::vec::Vec<bool>)],
    fingerprint_bits: u8,
    seed: u8,
    slots: usize,
) -> Option<alloc::vec::Vec<u8>> {
    use alloc::vec;
    use alloc::vec::Vec;
    let width = entries.first().map_or(0, |(_, value)| value.len()) + fingerprint_bits as usize;
    let words = width.div_ceil(64);
    // Of each slot the equation whose pivot it is: which slots from it on, and the right side.
    let mut chosen = vec![0_u32; slots];
    let mut right = vec![0_u64; slots * words];
    for (hash, value) in entries {
        let place = Place::of(*hash, seed, slots, fingerprint_bits);
        let (mut at, mut band) = (place.start, place.chosen);
        let mut bits: Vec<u64> = vec![0; words];
        let fingerprint = (0..fingerprint_bits).map(|i| place.fingerprint >> i & 1 == 1);
        for (i, _) in fingerprint.chain(value.iter().copied()).enumerate().filter(|(_, bit)| *bit) {
            bits[i / 64] |= 1 << (i % 64);
        }
        while chosen[at] != 0 {
            band ^= chosen[at];
            let known = &right[at * words..(at + 1) * words];
            bits.iter_mut().zip(known).for_each(|(x, y)| *x ^= y);
            if band == 0 {
                // Nothing new, or a contradiction.
                break;
            }
            at += band.trailing_zeros() as usize;
            band >>= band.trailing_zeros();
        }
        if band == 0 {
            if bits.iter().any(|&x| x != 0) {
                return None;
            }
            continue;
        }
        chosen[at] = band;
        right[at * words..(at + 1) * words].copy_from_slice(&bits);
    }
    for slot in (0..slots).rev() {
        for i in (1..BAND).filter(|&i| chosen[slot] >> i & 1 == 1) {
            for word in 0..words {
                right[slot * words + word] ^= right[(slot + i) * words + word];
            }
        }
    }
    let mut columns = vec![0; width * column_bytes(slots)];
    for slot in 0..slots {
        for bit in (0..width).filter(|&i| right[slot * words + i / 64] >> (i % 64) & 1 == 1) {
            columns[bit * column_bytes(slots) + slot / 8] |= 1 << (slot % 8);
        }
    }
    Some(columns)
}

#[cfg(feature = "alloc")]
#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::token::fnv1a;
    use std::collections::HashMap;
    use std::format;
    use std::vec::Vec;

    fn value(entry: &mut Entry<'_>, bits: usize) -> Vec<bool> {
        (0..bits).map(|_| entry.take(1) == 1).collect()
    }

    /// Every entry of every table comes back; foreign n-grams pass as rarely as the fingerprint says; slots are few.
    #[test]
    fn a_table_is_a_map_that_takes_some_foreign_keys() {
        for (count, fingerprint_bits, width) in [
            (1, 0, 1),
            (30, 8, 21),
            (50, 8, 21),
            (500, 6, 4),
            (2000, 7, 12),
            (3000, 8, 88),
            (20_000, 5, 4),
        ] {
            let mut map = HashMap::new();
            for i in 0..count {
                let hash = fnv1a(format!("known {i}").as_bytes());
                let bits = (0..width).map(|j| fnv1a(format!("{i} {j}").as_bytes()) >> 9 & 1 == 1);
                map.insert(hash, bits.collect::<Vec<bool>>());
            }
            let mut entries: Vec<_> = map.iter().map(|(&hash, v)| (hash, v.clone())).collect();
            entries.sort();
            let solved = solve(&entries, fingerprint_bits).unwrap();
            let bits = (fingerprint_bits, width);
            let table = Ribbon::parse(solved.seed, solved.slots, bits, &solved.columns).unwrap();
            for (hash, bits) in &map {
                assert_eq!(value(&mut table.entry(*hash).unwrap(), width), *bits);
            }
            let foreign = (0..40_000).map(|i| fnv1a(format!("foreign {i}").as_bytes()));
            let foreign: Vec<u32> = foreign.filter(|hash| !map.contains_key(hash)).collect();
            let passed = foreign.iter().filter(|&&hash| table.entry(hash).is_some()).count();
            let expected = foreign.len() as f64 / f64::from(1 << fingerprint_bits);
            let gap = (passed as f64 - expected).abs();
            assert!(gap <= 0.2 * expected + 5.0 * expected.sqrt(), "{passed} for {expected}");
            if (500..=3000).contains(&count) {
                let slots = f64::from(solved.slots) / map.len() as f64;
                assert!(slots <= 1.03, "{slots} slots an entry of {count}");
            }
        }
    }

    #[test]
    fn tables_of_wrong_sizes_and_doubled_hashes_are_refused() {
        let entries: Vec<_> = (0..40).map(|i| (fnv1a(&[i]), Vec::from([true; 3]))).collect();
        let solved = solve(&entries, 4).unwrap();
        assert_eq!(solve(&entries, 4).unwrap(), solved, "seeds are tried in order");
        let parse = |slots, bits, table| Ribbon::parse(solved.seed, slots, bits, table).err();
        assert_eq!(parse(solved.slots, (4, 3), &solved.columns), None);
        assert_eq!(parse(31, (4, 3), &[0; 28]), Some(Error::BadVocabulary));
        assert_eq!(parse(solved.slots, (4, 4), &solved.columns), Some(Error::BadVocabulary));
        assert_eq!(parse(solved.slots, (13, 0), &solved.columns), Some(Error::BadVocabulary));
        let twice = [(7, Vec::from([true])), (7, Vec::from([false]))];
        assert_eq!(solve(&twice, 4), Err(Error::BadVocabulary));
    }
}

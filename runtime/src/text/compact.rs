//! The tables of a compact model: a keyless table of codes, a level for each code, and the lift of `rank` sums to 11.

use crate::error::Error;
use crate::text::ngram::Gram;
use crate::text::pool::ROW;
use crate::text::ribbon::Ribbon;

/// Numbers of a row at most: four circuits of 11 features.
pub const MAX_RANK: usize = 4 * ROW;
/// Bits of a code at most.
pub const MAX_CODE_BITS: u8 = 4;

/// Sizes of the tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct CompactSizes {
    /// Numbers of a row.
    pub rank: u8,
    /// Bits of each.
    pub code_bits: u8,
    /// Bits by which a foreign n-gram is told.
    pub fingerprint_bits: u8,
    /// Chooses the bands of the table.
    pub seed: u8,
    /// Slots of the table.
    pub slots: u16,
}

/// The tables, borrowed from a model file.
#[derive(Clone, Copy, Debug)]
pub struct Compact<'a> {
    ribbon: Ribbon<'a>,
    sizes: CompactSizes,
    /// `rank x 2^code_bits` signed bytes: what each code of each dimension stands for.
    levels: &'a [u8],
    /// `11 x rank` signed bytes.
    lift: &'a [u8],
}

impl<'a> Compact<'a> {
    /// Checks the tables' sizes.
    ///
    /// # Errors
    /// [`Error::BadMeta`], [`Error::BadVocabulary`] or [`Error::BadRows`].
    pub fn parse(sizes: CompactSizes, [table, levels, lift]: [&'a [u8]; 3]) -> Result<Self, Error> {
        let CompactSizes { rank, code_bits, fingerprint_bits, seed, slots } = sizes;
        let rank = rank as usize;
        if !(1..=MAX_RANK).contains(&rank) || !(1..=MAX_CODE_BITS).contains(&code_bits) {
            return Err(Error::BadMeta);
        }
        let codes = 1 << code_bits;
        let bits = (fingerprint_bits, rank * code_bits as usize);
        let ribbon = Ribbon::parse(seed, slots, bits, table)?;
        if levels.len() != rank * codes || lift.len() != ROW * rank {
            return Err(Error::BadRows);
        }
        Ok(Self { ribbon, sizes, levels, lift })
    }

    /// Sizes of the tables.
    pub fn sizes(&self) -> CompactSizes {
        self.sizes
    }

    /// Whether the table takes an n-gram's hash for one of its own.
    pub fn knows(&self, hash: u32) -> bool {
        self.ribbon.entry(hash).is_some()
    }

    /// Adds the row of an n-gram's hash to `sums`, if the table takes the n-gram for its own.
    fn add(&self, hash: u32, sums: &mut [i32; MAX_RANK]) -> bool {
        let Some(mut entry) = self.ribbon.entry(hash) else { return false };
        let bits = self.sizes.code_bits;
        let tables = self.levels.chunks_exact(1 << bits);
        for (sum, levels) in sums.iter_mut().zip(tables) {
            let level = levels.get(entry.take(bits) as usize).map_or(0, |&level| level as i8);
            *sum += i32::from(level);
        }
        true
    }

    /// The sums of the rows of all n-grams found, and how many were found.
    pub fn sums(&self, grams: impl Iterator<Item = Gram>) -> ([i32; MAX_RANK], u32) {
        let mut sums = [0; MAX_RANK];
        // So many rows of +-128 through a lift of +-128 fit an i32: a text longer than that is cut here.
        let most = (i32::MAX >> 14) as u32 / u32::from(self.sizes.rank).max(1);
        let mut found = 0;
        for gram in grams {
            if found == most {
                break;
            }
            found += u32::from(self.add(gram.hash, &mut sums));
        }
        (sums, found)
    }

    /// The sums lifted to one number a feature, and how many n-grams were found.
    pub fn pool(&self, grams: impl Iterator<Item = Gram>) -> ([i32; ROW], u32) {
        let (sums, found) = self.sums(grams);
        let mut lifted = [0; ROW];
        for (to, weights) in
            lifted.iter_mut().zip(self.lift.chunks_exact(usize::from(self.sizes.rank).max(1)))
        {
            let products = weights.iter().zip(&sums).map(|(&w, sum)| i32::from(w as i8) * sum);
            *to = products.sum();
        }
        (lifted, found)
    }
}

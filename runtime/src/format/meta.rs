//! What a model's postcard sections hold: sizes, class names, named angles, provenance.

use crate::angles::Squash;
use crate::error::{COMPACT, Error};
use crate::format::Decoder;
use crate::format::floats::Floats;
use crate::text::compact::CompactSizes;
use crate::text::ngram::{GramKinds, Runs};
use crate::text::pool::{Pool, RowBits};
use postcard::take_from_bytes;
use serde::{Deserialize, Serialize};

/// The newest token rules that this crate implements ([`crate::text::ngram`]); it knows the older ones too.
pub const TOKEN_RULES: u8 = match (cfg!(feature = "unicode"), cfg!(feature = "neighbours")) {
    (true, _) => 3,
    (_, true) => 2,
    _ => 1,
};

/// Classes that a model may have.
pub const MAX_CLASSES: usize = 255;
/// Classes that the memory of most boards has room for: [`Scratch`](crate::Scratch) and its like.
pub const USUAL_CLASSES: usize = 64;

/// The meta section.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Meta {
    /// Classes, 2 to 255.
    pub classes: u8,
    /// The front end and its sizes.
    pub front: FrontEnd,
    /// How features become angles.
    pub squash: Squash,
    /// Temperature of the softmax.
    pub temperature: f32,
    /// Probability under which a decision is rejected; 0 rejects nothing.
    pub reject_below: f32,
}

/// Front ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum FrontEnd {
    /// Text through a selected vocabulary.
    Words {
        /// Version of the token rules, 1 to [`TOKEN_RULES`].
        token_rules: u8,
        /// Which n-grams count besides words.
        kinds: GramKinds,
        /// How rows become features.
        pool: Pool,
        /// Rows of the vocabulary.
        rows: u16,
        /// Bits of a key above its lower 16.
        bucket_bits: u8,
        /// Bits of a row's entries.
        row_bits: RowBits,
    },
    /// A vector given by the caller.
    Dense {
        /// Its length.
        inputs: u16,
    },
    /// Text through a keyless table of few bits (format version 2).
    Compact {
        /// Version of the token rules.
        token_rules: u8,
        /// Which n-grams count.
        kinds: GramKinds,
        /// Characters of a word that count, 0 for all.
        cut: u8,
        /// Lengths of runs of characters.
        runs: Runs,
        /// How sums become features.
        pool: Pool,
        /// Sizes of the tables.
        sizes: CompactSizes,
    },
}

impl Meta {
    /// Decodes the section; sizes are checked where the tables are.
    ///
    /// # Errors
    /// [`Error::BadMeta`].
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let mut decoder = Decoder::new(bytes);
        match Self::read(&mut decoder) {
            Some(meta) if decoder.rest.is_empty() => Ok(meta),
            _ => Err(Error::BadMeta),
        }
    }

    /// Field by field: serde's reader of the whole takes 450 bytes more on a chip.
    fn read(decoder: &mut Decoder<'_>) -> Option<Self> {
        Some(Self {
            classes: decoder.take()?,
            front: FrontEnd::read(decoder)?,
            squash: decoder.take()?,
            temperature: decoder.take()?,
            reject_below: decoder.take()?,
        })
    }
}

impl FrontEnd {
    fn read(decoder: &mut Decoder<'_>) -> Option<Self> {
        match decoder.take::<u32>()? {
            0 => {
                let token_rules = decoder.take()?;
                Some(Self::Words {
                    token_rules,
                    kinds: GramKinds::from_bits(token_rules, decoder.take()?, decoder.take()?)?,
                    pool: decoder.take()?,
                    rows: decoder.take()?,
                    bucket_bits: decoder.take()?,
                    row_bits: decoder.take()?,
                })
            }
            1 => Some(Self::Dense { inputs: decoder.take()? }),
            2 if COMPACT => {
                let token_rules = decoder.take()?;
                Some(Self::Compact {
                    token_rules,
                    kinds: GramKinds::from_bits(token_rules, decoder.take()?, decoder.take()?)?,
                    cut: decoder.take()?,
                    runs: Runs { shortest: decoder.take()?, longest: decoder.take()? },
                    pool: decoder.take()?,
                    sizes: CompactSizes {
                        rank: decoder.take()?,
                        code_bits: decoder.take()?,
                        fingerprint_bits: decoder.take()?,
                        seed: decoder.take()?,
                        slots: decoder.take()?,
                    },
                })
            }
            _ => None,
        }
    }
}

/// A postcard sequence of texts or pairs of texts, decoded one by one.
#[derive(Clone, Debug)]
pub struct Texts<'a> {
    left: u32,
    decoder: Decoder<'a>,
}

impl<'a> Texts<'a> {
    /// Checks a section of `count` texts (any number if `None`), none empty, each at most 255 bytes.
    ///
    /// # Errors
    /// [`Error::BadLabels`].
    pub fn parse(section: &'a [u8], count: Option<usize>) -> Result<Self, Error> {
        let mut decoder = Decoder::new(section);
        let left: u32 = decoder.take().ok_or(Error::BadLabels)?;
        let texts = Self { left, decoder };
        if count.is_some_and(|n| n != left as usize) {
            return Err(Error::BadLabels);
        }
        let mut walk = texts.clone();
        while walk.left > 0 {
            if walk.next().is_none_or(|text| text.is_empty() || text.len() > 255) {
                return Err(Error::BadLabels);
            }
        }
        if walk.decoder.rest.is_empty() { Ok(texts) } else { Err(Error::BadLabels) }
    }

    /// Refuses names that hold control characters, which could drive a terminal, and equal ones.
    ///
    /// # Errors
    /// [`Error::BadLabels`].
    #[cfg(feature = "alloc")]
    pub fn check_names(&self) -> Result<(), Error> {
        let bad = |(i, name): (usize, &str)| {
            name.contains(char::is_control) || self.clone().take(i).any(|other| other == name)
        };
        if self.clone().enumerate().any(bad) { Err(Error::BadLabels) } else { Ok(()) }
    }
}

impl<'a> Iterator for Texts<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        self.left = self.left.checked_sub(1)?;
        self.decoder.take()
    }
}

/// Circuits that the source section can name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Preset {
    /// [`crate::circuit::paper`], 144 angles.
    Paper,
}

/// The circuit as people wrote it, then its named angles: the section source has a [`Preset`]'s name,
/// the section qasm OpenQASM 2.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a, T> {
    /// The circuit; what a text says is the QASM reader's business.
    pub circuit: T,
    angles: Floats<'a>,
}

impl<'a, T: Deserialize<'a>> Source<'a, T> {
    /// Decodes the section.
    ///
    /// # Errors
    /// [`Error::BadProgram`].
    pub fn parse(section: &'a [u8]) -> Result<Self, Error> {
        let ((circuit, count), rest): ((T, u16), _) =
            take_from_bytes(section).map_err(|_| Error::BadProgram)?;
        let angles = Floats::sized(rest, count as usize).ok_or(Error::BadProgram)?;
        Ok(Self { circuit, angles })
    }

    /// The angles in radians: of a preset in the order of its parameters, of a text in the order of
    /// the names' appearance.
    pub fn angles_rad(&self) -> impl Iterator<Item = f32> + use<'a, T> {
        self.angles.iter()
    }
}

//! What a model's postcard sections hold: sizes, class names, named angles, provenance.

use crate::angles::Squash;
use crate::error::Error;
use crate::format::decode::Decoder;
use crate::text::ngram::GramKinds;
use crate::text::pool::{Pool, RowBits};
use postcard::take_from_bytes;
use serde::{Deserialize, Serialize};

/// The newest token rules that this crate implements ([`crate::text::ngram`]); it knows the older ones too.
pub const TOKEN_RULES: u8 = if cfg!(feature = "neighbours") { 2 } else { 1 };

/// The meta section.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Meta {
    /// Classes, 2 to 64.
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
                let (rules, neighbours) = (decoder.take()?, decoder.take()?);
                Some(Self::Words {
                    token_rules: GramKinds::rules(rules, neighbours),
                    kinds: GramKinds::from_bits(neighbours, decoder.take()?)?,
                    pool: decoder.take()?,
                    rows: decoder.take()?,
                    bucket_bits: decoder.take()?,
                    row_bits: decoder.take()?,
                })
            }
            1 => Some(Self::Dense { inputs: decoder.take()? }),
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
            if walk.step().is_none_or(|text| text.is_empty() || text.len() > 255) {
                return Err(Error::BadLabels);
            }
        }
        if walk.decoder.rest.is_empty() { Ok(texts) } else { Err(Error::BadLabels) }
    }

    fn step(&mut self) -> Option<&'a str> {
        self.left = self.left.checked_sub(1)?;
        self.decoder.take()
    }
}

impl<'a> Iterator for Texts<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        self.step()
    }
}

/// Circuits that the source section can name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Preset {
    /// [`crate::circuit::paper`], 144 angles.
    Paper,
}

/// The source section: the circuit by its name, then its named angles in order.
#[derive(Clone, Debug)]
pub struct Source<'a> {
    /// The circuit.
    pub preset: Preset,
    angles: StoredAngles<'a>,
}

/// The qasm section: the circuit as text, then its named angles in order of appearance.
#[derive(Clone, Debug)]
pub struct QasmSource<'a> {
    /// The circuit, OpenQASM 2.
    pub text: &'a str,
    angles: StoredAngles<'a>,
}

/// A sequence of angles at the end of a section.
#[derive(Clone, Copy, Debug)]
struct StoredAngles<'a> {
    left: u16,
    bytes: &'a [u8],
}

impl<'a> StoredAngles<'a> {
    fn parse(section: &'a [u8]) -> Result<Self, Error> {
        let (left, bytes) = take_from_bytes::<u16>(section).map_err(|_| Error::BadProgram)?;
        if bytes.len() != 4 * left as usize {
            return Err(Error::BadProgram);
        }
        Ok(Self { left, bytes })
    }

    fn iter(self) -> impl Iterator<Item = f32> + use<'a> {
        (0..self.left as usize).map_while(move |i| match self.bytes.get(4 * i..4 * i + 4) {
            Some(&[a, b, c, d]) => Some(f32::from_le_bytes([a, b, c, d])),
            _ => None,
        })
    }
}

impl<'a> QasmSource<'a> {
    /// Decodes the section; what the text says is the reader's business.
    ///
    /// # Errors
    /// [`Error::BadProgram`].
    pub fn parse(section: &'a [u8]) -> Result<Self, Error> {
        let (text, rest) = take_from_bytes::<&str>(section).map_err(|_| Error::BadProgram)?;
        Ok(Self { text, angles: StoredAngles::parse(rest)? })
    }

    /// The angles in radians, in the order of the names' appearance in the text.
    pub fn angles_rad(&self) -> impl Iterator<Item = f32> + use<'a> {
        self.angles.iter()
    }
}

impl<'a> Source<'a> {
    /// Decodes the section.
    ///
    /// # Errors
    /// [`Error::BadProgram`].
    pub fn parse(section: &'a [u8]) -> Result<Self, Error> {
        let (preset, rest) = take_from_bytes::<Preset>(section).map_err(|_| Error::BadProgram)?;
        Ok(Self { preset, angles: StoredAngles::parse(rest)? })
    }

    /// The angles in radians, in the order of the circuit's parameters.
    pub fn angles_rad(&self) -> impl Iterator<Item = f32> + use<'a> {
        self.angles.iter()
    }
}

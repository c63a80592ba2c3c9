//! The container of a model file: header, section directory, checksum. `FORMAT.md` specifies it.

use crate::error::{COMPACT, Error, numbered};
use crc::{CRC_32_ISO_HDLC, Crc};

/// The first four bytes of every model.
pub const MAGIC: [u8; 4] = *b"QDMF";
/// The newest format version of this build, which reads every version up to it.
pub const VERSION: u16 = if COMPACT { 2 } else { 1 };
/// Classes that format version 1 knows at most.
#[cfg(feature = "alloc")]
const FIRST_CLASSES: u8 = 64;
/// Bytes of the header.
pub const HEADER_BYTES: usize = 12;
/// Bytes of one directory entry.
pub const ENTRY_BYTES: usize = 12;
/// Bytes of the checksum at the end.
pub const CHECKSUM_BYTES: usize = 4;
/// Kinds with this bit may be skipped by a reader that does not know them.
pub const OPTIONAL: u16 = 0x8000;

/// On a chip the kilobyte of a table counts more than a moment at start-up.
#[cfg(not(feature = "alloc"))]
type Way = crc::NoTable;
#[cfg(feature = "alloc")]
type Way = crc::Table<1>;

const CRC32: Crc<u32, Way> = Crc::<u32, Way>::new(&CRC_32_ISO_HDLC);

/// CRC-32 (ISO-HDLC, the polynomial of zlib) of `bytes`.
pub fn checksum(bytes: &[u8]) -> u32 {
    CRC32.checksum(bytes)
}

numbered! {
    /// Kinds of sections.
    Kind: u16,
    /// Its name in tables that people read.
    name {
        /// Sizes, front end, temperature (postcard).
        Meta = 1, "meta";
        /// Class names (postcard).
        Labels = 2, "labels";
        /// Ends of the vocabulary's buckets (`u16`).
        Buckets = 3, "buckets";
        /// Keys of the vocabulary (`u16`).
        Keys = 4, "keys";
        /// Integer rows (4 or 8 bits).
        Rows = 5, "rows";
        /// Scale of each row dimension, then bias (`f32`).
        Scale = 6, "scale";
        /// Dense front end: weights by angle, then bias (`f32`).
        Dense = 7, "dense";
        /// The fused circuit (postcard).
        Program = 8, "program";
        /// Weights by class, then bias (`f32`).
        Head = 9, "head";
        /// The keyless table of codes of a compact front end (bits).
        Table = 10, "table";
        /// What each code of each dimension stands for (signed bytes).
        Levels = 11, "levels";
        /// From the sums of codes to the features (signed bytes).
        Lift = 12, "lift";
        /// The angles of the preset circuit, in the order of its instructions (`i16`).
        Angles = 13, "angles";
        /// Weights by class (signed bytes), bias by class (`i16`), behind the worth of each (`f32`).
        SmallHead = 14, "small head";
        /// The circuit as named angles (postcard); for the host.
        Source = OPTIONAL | 1, "source";
        /// Where the model comes from, as pairs of text (postcard); for people.
        Provenance = OPTIONAL | 2, "provenance";
        /// The compiled polynomial: another way to run the same model.
        Polynomial = OPTIONAL | 3, "polynomial";
        /// The compiled tensor train: another way to run the same model.
        TensorTrain = OPTIONAL | 4, "tensor train";
        /// What was measured of the statevector in integers (postcard).
        StatevectorI16 = OPTIONAL | 5, "statevector i16";
        /// The classes' shares of the training data (`u16`): the answer to a text of which nothing is known.
        Shares = OPTIONAL | 6, "class shares";
        /// The rule that tells foreign texts: weights, bias, and what was measured of it (`f32`).
        Rejection = OPTIONAL | 7, "rejection";
        /// The circuit as QASM text and its named angles (postcard); for the host.
        Qasm = OPTIONAL | 16, "qasm";
        /// Version, lowest version, and Ed25519 signature of the whole file; always the last section.
        Signature = OPTIONAL | 17, "signature";
        /// Ed25519 signature of what is said of the file before it is sent; always before the signature.
        Announcement = OPTIONAL | 18, "announcement";
    }
}

/// The checked container of one model: gives sections by kind.
#[derive(Clone, Copy, Debug)]
pub struct Container<'a> {
    bytes: &'a [u8],
    sections: u16,
}

impl<'a> Container<'a> {
    /// The length in bytes that the header at the front of `region` states.
    ///
    /// # Errors
    /// [`Error::TooShort`], [`Error::BadMagic`] or [`Error::UnsupportedVersion`].
    pub fn stated_length(region: &[u8]) -> Result<usize, Error> {
        if region.len() < HEADER_BYTES + CHECKSUM_BYTES {
            return Err(Error::TooShort);
        }
        if region.get(..4) != Some(&MAGIC[..]) {
            return Err(Error::BadMagic);
        }
        match u16_at(region, 4)? {
            1..=VERSION => Ok(u32_at(region, 8)? as usize),
            _ => Err(Error::UnsupportedVersion),
        }
    }

    /// Checks header, length, checksum and directory of a whole file.
    ///
    /// # Errors
    /// The first of these that is wrong, in that order.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Error> {
        if Self::stated_length(bytes)? != bytes.len() {
            return Err(Error::LengthMismatch);
        }
        let body = bytes.len() - CHECKSUM_BYTES;
        let (covered, stored) = bytes.split_at_checked(body).ok_or(Error::TooShort)?;
        if u32_at(stored, 0)? != checksum(covered) {
            return Err(Error::BadChecksum);
        }
        let container = Self { bytes, sections: u16_at(bytes, 6)? };
        container.check_directory(body)?;
        Ok(container)
    }

    fn check_directory(&self, body: usize) -> Result<(), Error> {
        let mut free_from = HEADER_BYTES + ENTRY_BYTES * self.sections as usize;
        for i in 0..self.sections {
            let (kind, offset, length) = self.entry(i).ok_or(Error::BadDirectory)?;
            let end = offset.checked_add(length).ok_or(Error::BadDirectory)?;
            if offset % 4 != 0 || offset < free_from || end > body {
                return Err(Error::BadDirectory);
            }
            if (0..i).any(|j| self.entry(j).is_some_and(|(k, ..)| k == kind)) {
                return Err(Error::BadDirectory);
            }
            // The kinds that every reader must know are numbered without a gap. The zero after a kind is its upper
            // half here: another number is no kind that may be skipped.
            let last = if COMPACT { Kind::SmallHead } else { Kind::Head };
            let known = Kind::Meta as u32..=last as u32;
            if kind >> OPTIONAL.trailing_zeros() != 1 && !known.contains(&kind) {
                return Err(Error::UnknownSection);
            }
            free_from = end;
        }
        Ok(())
    }

    /// (kind and the zero after it, offset, length) of directory entry `i`.
    fn entry(&self, i: u16) -> Option<(u32, usize, usize)> {
        let at = HEADER_BYTES + ENTRY_BYTES * i as usize;
        let entry: &[u8; ENTRY_BYTES] = self.bytes.get(at..)?.first_chunk()?;
        let [kind, offset, length] = entry.as_chunks().0 else { return None };
        let [offset, length] = [offset, length].map(|field| u32::from_le_bytes(*field) as usize);
        Some((u32::from_le_bytes(*kind), offset, length))
    }

    /// The bytes of a section, if the file has it.
    pub fn get(&self, kind: Kind) -> Option<&'a [u8]> {
        (0..self.sections)
            .filter_map(|i| self.entry(i))
            .find(|&(k, ..)| k == kind as u32)
            .and_then(|(_, offset, length)| self.bytes.get(offset..offset + length))
    }

    /// The bytes of a section.
    ///
    /// # Errors
    /// [`Error::MissingSection`].
    pub fn need(&self, kind: Kind) -> Result<&'a [u8], Error> {
        self.get(kind).ok_or(Error::MissingSection)
    }

    /// The format version that the header states.
    pub fn version(&self) -> u16 {
        u16_at(self.bytes, 4).unwrap_or(0)
    }

    /// Sections in the directory, known or not.
    pub fn sections(&self) -> u16 {
        self.sections
    }

    /// The kinds of its sections that this crate knows, in their order.
    pub fn kinds(&self) -> impl Iterator<Item = Kind> + use<'a> {
        let this = *self;
        let known = |kind: u32| Kind::ALL.iter().copied().find(|&known| known as u32 == kind);
        (0..this.sections).filter_map(move |i| known(this.entry(i)?.0))
    }

    /// The whole file.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }
}

fn u16_at(bytes: &[u8], at: usize) -> Result<u16, Error> {
    let found = bytes.get(at..).and_then(|rest| rest.first_chunk());
    found.map(|bytes| u16::from_le_bytes(*bytes)).ok_or(Error::BadDirectory)
}

fn u32_at(bytes: &[u8], at: usize) -> Result<u32, Error> {
    let found = bytes.get(at..).and_then(|rest| rest.first_chunk());
    found.map(|bytes| u32::from_le_bytes(*bytes)).ok_or(Error::BadDirectory)
}

/// Puts sections into a container: the only writer of the format.
///
/// Sections are laid out in the order given, each aligned to 4 bytes. The version is the oldest that knows them all.
#[cfg(feature = "alloc")]
pub fn write(sections: &[(Kind, alloc::vec::Vec<u8>)]) -> alloc::vec::Vec<u8> {
    let mut bytes = alloc::vec![0; HEADER_BYTES + ENTRY_BYTES * sections.len()];
    for (i, (kind, content)) in sections.iter().enumerate() {
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        let at = HEADER_BYTES + ENTRY_BYTES * i;
        let offset = bytes.len() as u32;
        bytes[at..at + 2].copy_from_slice(&(*kind as u16).to_le_bytes());
        bytes[at + 4..at + 8].copy_from_slice(&offset.to_le_bytes());
        bytes[at + 8..at + 12].copy_from_slice(&(content.len() as u32).to_le_bytes());
        bytes.extend_from_slice(content);
    }
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    let length = (bytes.len() + CHECKSUM_BYTES) as u32;
    bytes[..4].copy_from_slice(&MAGIC);
    // The number of classes comes first in the meta section.
    let newer = sections.iter().any(|(kind, content)| {
        (Kind::Table..=Kind::SmallHead).contains(kind)
            || *kind == Kind::Meta && content.first().is_some_and(|&n| n > FIRST_CLASSES)
    });
    bytes[4..6].copy_from_slice(&if newer { VERSION } else { 1 }.to_le_bytes());
    bytes[6..8].copy_from_slice(&(sections.len() as u16).to_le_bytes());
    bytes[8..12].copy_from_slice(&length.to_le_bytes());
    let crc = checksum(&bytes);
    bytes.extend_from_slice(&crc.to_le_bytes());
    bytes
}

//! How a model lies in a slot: a header, marks that are each written once, then the model file.
//!
//! A header region of [`HEADER_BYTES`] is divided into units of [`UNIT`] bytes. Flash chips take
//! writes of 1 to 32 bytes and some forbid to write a place twice between two erasures: every unit is
//! written at most once, whole, and the sizes fit them all.
//!
//! | unit | what |
//! | --- | --- |
//! | 0 | magic `QDSL`, layout version `u16` (1), zero `u16`, sequence `u32`, length `u32`, checksum `u32`, floor `u32`, zero `u32`, CRC-32 of the 28 bytes before |
//! | 1 to 5 | the marks, in the order of [`Mark`]: erased, or the mark's pattern |
//! | 6, 7 | erased |
//!
//! Numbers are little endian.

use crate::Fault;
use qdllm_runtime::format;

/// Bytes of a unit.
pub const UNIT: usize = 32;
/// Bytes before the model.
pub const HEADER_BYTES: usize = 256;
/// What erased flash reads as.
pub const ERASED: u8 = 0xff;

/// The first four bytes of a slot.
const MAGIC: [u8; 4] = *b"QDSL";
/// The layout that this version writes and reads.
const LAYOUT: u16 = 1;

/// What a slot says about its model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Of two usable slots the one with the greater number is newer.
    pub sequence: u32,
    /// Length of the model file in bytes.
    pub length: u32,
    /// The model file's own checksum: its last four bytes.
    pub checksum: u32,
    /// The lowest model version that the board took when this slot was written; 0 without signing.
    pub floor: u32,
}

impl Header {
    /// The header of a model file in a slot; none if the file is too short to be a model.
    pub fn of(file: &[u8], sequence: u32, floor: u32) -> Option<Self> {
        let checksum = u32::from_le_bytes(*file.last_chunk()?);
        Some(Self { sequence, length: u32::try_from(file.len()).ok()?, checksum, floor })
    }

    /// The bytes of unit 0.
    pub fn encode(&self) -> [u8; UNIT] {
        let mut unit = [0; UNIT];
        let [sequence, length, checksum, floor] =
            [self.sequence, self.length, self.checksum, self.floor].map(u32::to_le_bytes);
        let [layout, zero] = [LAYOUT, 0].map(u16::to_le_bytes);
        let parts: [&[u8]; 7] = [&MAGIC, &layout, &zero, &sequence, &length, &checksum, &floor];
        for (to, from) in unit.iter_mut().zip(parts.into_iter().flatten()) {
            *to = *from;
        }
        if let Some((covered, crc)) = unit.split_last_chunk_mut::<4>() {
            *crc = format::checksum(covered).to_le_bytes();
        }
        unit
    }

    /// Reads unit 0 at the front of a header region.
    ///
    /// # Errors
    /// [`Fault::SlotBlank`] when it is erased, else [`Fault::SlotHeader`].
    pub fn decode(region: &[u8]) -> Result<Self, Fault> {
        let unit: &[u8; UNIT] = region.first_chunk().ok_or(Fault::SlotHeader)?;
        if is_erased(unit) {
            return Err(Fault::SlotBlank);
        }
        let word = |i: usize| {
            let bytes = unit.get(4 * i..).and_then(|rest| rest.first_chunk());
            bytes.map_or(0, |bytes| u32::from_le_bytes(*bytes))
        };
        let header = Self { sequence: word(2), length: word(3), checksum: word(4), floor: word(5) };
        // The only bytes that mean this header are those that it would be written as.
        if header.encode() == *unit { Ok(header) } else { Err(Fault::SlotHeader) }
    }
}

/// Steps in a slot's life, each a unit of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Mark {
    /// The model arrived whole and was found usable.
    Complete = 1,
    /// It shall be used from the next start on.
    Activated = 2,
    /// It is being tried: the start that wrote this is the only one that may confirm it.
    Started = 3,
    /// It classified the built-in sentence.
    Confirmed = 4,
    /// It shall not be used again.
    Rejected = 5,
}

impl Mark {
    /// All of them, in their order.
    pub const ALL: [Self; 5] =
        [Self::Complete, Self::Activated, Self::Started, Self::Confirmed, Self::Rejected];

    /// Where its unit begins in the header region.
    pub const fn offset(self) -> usize {
        UNIT * self as usize
    }

    /// What is written there.
    pub fn pattern(self) -> [u8; UNIT] {
        let word = match self {
            Self::Complete => b"COMPLETE",
            Self::Activated => b"ACTIVATE",
            Self::Started => b"STARTED.",
            Self::Confirmed => b"CONFIRM.",
            Self::Rejected => b"REJECTED",
        };
        let mut unit = [0; UNIT];
        for (to, from) in unit.iter_mut().zip(word.iter().cycle()) {
            *to = *from;
        }
        unit
    }
}

/// Which marks a slot has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Marks(u8);

impl Marks {
    /// Reads the marks of a header region.
    ///
    /// # Errors
    /// [`Fault::SlotMark`] when a unit after the header is neither erased nor its mark.
    pub fn decode(region: &[u8]) -> Result<Self, Fault> {
        let region: &[u8; HEADER_BYTES] = region.first_chunk().ok_or(Fault::SlotHeader)?;
        let mut marks = Self(0);
        for (index, unit) in region.chunks_exact(UNIT).enumerate().skip(1) {
            if is_erased(unit) {
                continue;
            }
            let mark = Mark::ALL.into_iter().find(|&mark| mark as usize == index);
            match mark.filter(|mark| mark.pattern() == unit) {
                Some(mark) => marks.0 |= 1 << mark as u8,
                None => return Err(Fault::SlotMark),
            }
        }
        Ok(marks)
    }

    /// Whether it has `mark`.
    pub const fn has(self, mark: Mark) -> bool {
        self.0 & (1 << mark as u8) != 0
    }
}

/// The header region of a model that is put into a board with its first firmware: confirmed, for
/// nothing is there to go back to.
pub fn factory(header: &Header) -> [u8; HEADER_BYTES] {
    let mut region = [ERASED; HEADER_BYTES];
    let mut put = |offset: usize, unit: [u8; UNIT]| {
        if let Some(to) = region.get_mut(offset..offset + UNIT) {
            to.copy_from_slice(&unit);
        }
    };
    put(0, header.encode());
    for mark in [Mark::Complete, Mark::Activated, Mark::Started, Mark::Confirmed] {
        put(mark.offset(), mark.pattern());
    }
    region
}

fn is_erased(bytes: &[u8]) -> bool {
    bytes.iter().all(|&byte| byte == ERASED)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: Header = Header { sequence: 3, length: 35_000, checksum: 0x1234_5678, floor: 2 };

    #[test]
    fn a_header_comes_back_and_its_bytes_are_frozen() {
        let unit = HEADER.encode();
        assert_eq!(Header::decode(&unit), Ok(HEADER));
        let start =
            *b"QDSL\x01\x00\x00\x00\x03\x00\x00\x00\xb8\x88\x00\x00\x78\x56\x34\x12\x02\x00";
        assert_eq!(unit[..22], start);
    }

    #[test]
    fn every_single_bit_of_the_header_region_counts() {
        let good = factory(&HEADER);
        assert_eq!(Header::decode(&good), Ok(HEADER));
        assert!(Marks::decode(&good).is_ok());
        for bit in 0..8 * HEADER_BYTES {
            let mut bad = good;
            bad[bit / 8] ^= 1 << (bit % 8);
            let read = Header::decode(&bad).and_then(|_| Marks::decode(&bad));
            assert!(read.is_err(), "bit {bit}");
        }
    }

    #[test]
    fn erased_flash_is_blank_and_has_no_marks() {
        let erased = [ERASED; HEADER_BYTES];
        assert_eq!(Header::decode(&erased), Err(Fault::SlotBlank));
        assert_eq!(Marks::decode(&erased), Ok(Marks::default()));
        assert_eq!(Header::decode(&[]), Err(Fault::SlotHeader));
    }

    #[test]
    fn marks_are_read_one_by_one() {
        for mark in Mark::ALL {
            let mut region = [ERASED; HEADER_BYTES];
            region[mark.offset()..mark.offset() + UNIT].copy_from_slice(&mark.pattern());
            let marks = Marks::decode(&region).unwrap();
            for other in Mark::ALL {
                assert_eq!(marks.has(other), other == mark);
            }
        }
    }
}

//! The model file, specified in `FORMAT.md`: container, sections, encoder and decoder.

pub mod container;
#[cfg(feature = "alloc")]
pub mod encode;
pub mod floats;
pub mod meta;
pub mod signature;

#[cfg(feature = "alloc")]
pub use container::write;
pub use container::{
    CHECKSUM_BYTES, Container, ENTRY_BYTES, HEADER_BYTES, Kind, MAGIC, OPTIONAL, VERSION, checksum,
};

use serde::Deserialize;

/// Takes fields from the front of bytes; `None` where they end or are no such field.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Decoder<'a> {
    pub(crate) rest: &'a [u8],
}

impl<'a> Decoder<'a> {
    pub(crate) const fn new(rest: &'a [u8]) -> Self {
        Self { rest }
    }

    /// The next field: a number of variable length, a fixed one, an enum by its number, a text.
    pub(crate) fn take<T: Deserialize<'a>>(&mut self) -> Option<T> {
        let (value, rest) = postcard::take_from_bytes(self.rest).ok()?;
        self.rest = rest;
        Some(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;
    use crate::format::meta::Texts;
    use proptest::prelude::*;
    use std::string::String;
    use std::vec::Vec;

    /// What FORMAT.md says of a number of variable length: its value, and how many bytes it takes.
    fn varint(bytes: &[u8], bits: u32) -> Option<(u32, usize)> {
        let mut value = 0_u64;
        for (i, &byte) in bytes.iter().enumerate().take(bits.div_ceil(7) as usize) {
            value |= u64::from(byte & 0x7f) << (7 * i);
            if byte & 0x80 == 0 {
                return (value >> bits == 0).then_some((value as u32, i + 1));
            }
        }
        None
    }

    /// What is taken from the front of `bytes`, and how many bytes that takes.
    fn taken<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Option<(T, usize)> {
        let mut decoder = Decoder::new(bytes);
        Some((decoder.take()?, bytes.len() - decoder.rest.len()))
    }

    proptest! {
        #[test]
        fn utf8_is_what_core_says(
            text: String,
            wild in prop::collection::vec(prop::sample::select(
                &[0u8, 0x41, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc1, 0xc2, 0xdf, 0xe0, 0xe1,
                    0xed, 0xee, 0xef, 0xf0, 0xf1, 0xf4, 0xf5, 0xff][..]), 0..6),
            cut in 0usize..40,
        ) {
            for text in [&text.as_bytes()[..cut.min(text.len())], &wild] {
                let section: Vec<u8> = [&[1, text.len() as u8], text].concat();
                let read = Texts::parse(&section, Some(1)).map(|mut texts| texts.next());
                match core::str::from_utf8(text) {
                    Ok(right) if !text.is_empty() => prop_assert_eq!(read.ok(), Some(Some(right))),
                    _ => prop_assert_eq!(read.err(), Some(Error::BadLabels)),
                }
            }
        }

        #[test]
        fn every_field_is_read_as_postcard_reads_it(
            wild in prop::collection::vec(any::<u8>(), 0..12),
            low in prop::collection::vec(prop::sample::select(&[0u8, 1, 3, 4, 15, 16, 127, 128, 255][..]), 0..8),
        ) {
            for bytes in [&wild[..], &low] {
                let first = bytes.first().copied();
                prop_assert_eq!(taken::<u8>(bytes), first.map(|byte| (byte, 1)));
                let truth = first.filter(|&byte| byte < 2).map(|byte| (byte == 1, 1));
                prop_assert_eq!(taken::<bool>(bytes), truth);
                let short = varint(bytes, 16).map(|(value, n)| (value as u16, n));
                prop_assert_eq!(taken::<u16>(bytes), short);
                prop_assert_eq!(taken::<u32>(bytes), varint(bytes, 32));
                let text = varint(bytes, 32).and_then(|(length, n)| {
                    let end = n.checked_add(length as usize)?;
                    Some((bytes.get(n..end)?, end))
                });
                prop_assert_eq!(taken::<&[u8]>(bytes), text);
                let float = bytes.first_chunk().map(|b| (u32::from_le_bytes(*b), 4));
                prop_assert_eq!(taken::<f32>(bytes).map(|(x, n)| (x.to_bits(), n)), float);
            }
        }
    }
}

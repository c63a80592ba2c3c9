//! Read by hand: postcard's own decoding adds 980 bytes to the smallest image (9,956; its limit is 10,000).
//!
//! Measured on thumbv6m with the polynomial alone; neither links a panic. The host writes, and the tests
//! read, with postcard itself.

/// Reads fields from the front of bytes; `None` where they end or are no such field.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Decoder<'a> {
    /// What is still to be read.
    pub(crate) rest: &'a [u8],
}

impl<'a> Decoder<'a> {
    /// Begins at the front of `rest`.
    pub(crate) const fn new(rest: &'a [u8]) -> Self {
        Self { rest }
    }

    /// One byte.
    #[inline(never)]
    pub(crate) fn byte(&mut self) -> Option<u8> {
        let (&byte, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(byte)
    }

    /// A truth value: 0 or 1.
    pub(crate) fn truth(&mut self) -> Option<bool> {
        match self.byte()? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }

    /// A number of variable length that fits `bits` bits.
    #[inline(never)]
    fn varint(&mut self, bits: u32) -> Option<u32> {
        let (mut value, mut shift) = (0, 0);
        loop {
            let byte = self.byte()?;
            // In the last byte that a number may have, neither more bits nor a continuation fit.
            let left = bits - shift;
            if left < 7 && byte >> left != 0 {
                return None;
            }
            value |= u32::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
            shift += 7;
        }
    }

    /// A `u16` of variable length.
    pub(crate) fn u16(&mut self) -> Option<u16> {
        self.varint(16).map(|value| value as u16)
    }

    /// A `u32` of variable length; the number of an enum's variant, too.
    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.varint(32)
    }

    /// Four bytes, little endian.
    pub(crate) fn f32(&mut self) -> Option<f32> {
        let (bytes, rest) = self.rest.split_first_chunk()?;
        self.rest = rest;
        Some(f32::from_le_bytes(*bytes))
    }

    /// The bytes of a text: its length, then its UTF-8, which is not checked.
    pub(crate) fn text(&mut self) -> Option<&'a [u8]> {
        let length = self.u32()? as usize;
        let (bytes, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(bytes)
    }
}

/// Whether bytes are UTF-8 (Unicode 15, table 3-7), without the table of lengths that core's check
/// links.
pub(crate) fn is_utf8(bytes: &[u8]) -> bool {
    // Bytes of the character still to come, and the range of the next one.
    let (mut left, mut low, mut high) = (0, 0x80, 0xbf);
    for &byte in bytes {
        if left > 0 {
            if byte < low || byte > high {
                return false;
            }
            (left, low, high) = (left - 1, 0x80, 0xbf);
            continue;
        }
        match byte {
            0..=0x7f => {}
            0xc2..=0xdf => left = 1,
            0xe0..=0xef => left = 2,
            0xf0..=0xf4 => left = 3,
            _ => return false,
        }
        // Neither longer forms than needed, nor surrogates, nor what is above the last character.
        match byte {
            0xe0 => low = 0xa0,
            0xed => high = 0x9f,
            0xf0 => low = 0x90,
            0xf4 => high = 0x8f,
            _ => {}
        }
    }
    left == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use postcard::take_from_bytes;
    use proptest::prelude::*;
    use std::string::String;

    /// What both read from the front of `bytes`.
    fn same<'a, T: serde::Deserialize<'a> + PartialEq + core::fmt::Debug>(
        bytes: &'a [u8],
        read: impl Fn(&mut Decoder<'a>) -> Option<T>,
    ) {
        let mut decoder = Decoder::new(bytes);
        let own = read(&mut decoder).map(|value| (value, decoder.rest));
        assert_eq!(own, take_from_bytes(bytes).ok(), "{bytes:?}");
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
            let text = &text.as_bytes()[..cut.min(text.len())];
            prop_assert_eq!(is_utf8(text), core::str::from_utf8(text).is_ok());
            prop_assert_eq!(is_utf8(&wild), core::str::from_utf8(&wild).is_ok());
        }

        #[test]
        fn every_field_is_read_as_postcard_reads_it(
            wild in prop::collection::vec(any::<u8>(), 0..12),
            low in prop::collection::vec(prop::sample::select(&[0u8, 1, 3, 4, 15, 16, 127, 128, 255][..]), 0..8),
        ) {
            for bytes in [&wild[..], &low] {
                same::<u8>(bytes, Decoder::byte);
                same::<bool>(bytes, Decoder::truth);
                same::<u16>(bytes, Decoder::u16);
                same::<u32>(bytes, Decoder::u32);
                same::<&[u8]>(bytes, Decoder::text);
                let mut decoder = Decoder::new(bytes);
                let own = decoder.f32().map(f32::to_bits);
                assert_eq!(own, take_from_bytes::<f32>(bytes).ok().map(|taken| taken.0.to_bits()));
            }
        }
    }
}

//! A frame: protocol version, number of the request, message, CRC-16, in COBS between zeros.

use crate::Fault;
use cobs::CobsEncoder;
use crc::{CRC_16_IBM_3740, Crc, Digest, NoTable};
use postcard::ser_flavors::Flavor;
use serde::{Deserialize, Serialize};

/// The protocol version that this crate speaks.
pub const VERSION: u8 = 1;
/// The most bytes of the model in one chunk.
pub const CHUNK_BYTES: usize = 1024;
/// The longest frame before encoding: version, number, a chunk's kind, offset, length and data, CRC.
pub const FRAME_BYTES: usize = 1 + 2 + 1 + 5 + 2 + CHUNK_BYTES + 2;
/// The longest frame after encoding, without the zeros around it.
pub const ENCODED_BYTES: usize = cobs::max_encoding_length(FRAME_BYTES);
/// The longest frame as it goes over the wire, with the zeros around it.
pub const WIRE_BYTES: usize = ENCODED_BYTES + 3;

const CRC16: Crc<u16, NoTable> = Crc::<u16, NoTable>::new(&CRC_16_IBM_3740);

/// Writes a message into the front of `buffer` as it goes over the wire; [`WIRE_BYTES`] hold any.
///
/// Two zeros come first: the first may end what another frame's lost end left open, the second begins
/// this one whatever came before.
///
/// # Errors
/// [`Fault::FrameTooLong`] when the frame is longer than [`FRAME_BYTES`] or than the buffer.
pub fn encode<'b>(
    number: u16,
    message: &impl Serialize,
    buffer: &'b mut [u8],
) -> Result<&'b [u8], Fault> {
    let Some((zeros, rest)) = buffer.split_first_chunk_mut() else {
        return Err(Fault::FrameTooLong);
    };
    *zeros = [0; 2];
    let mut encoder = Encoder { cobs: CobsEncoder::new(rest), crc: CRC16.digest(), bytes: 0 };
    let [low, high] = number.to_le_bytes();
    let encoded = encoder
        .try_extend(&[VERSION, low, high])
        .and_then(|()| postcard::serialize_with_flavor(message, encoder));
    let end = 2 + encoded.map_err(|_| Fault::FrameTooLong)?;
    *buffer.get_mut(end).ok_or(Fault::FrameTooLong)? = 0;
    buffer.get(..=end).ok_or(Fault::FrameTooLong)
}

/// Takes a frame's bytes, appends their checksum and encodes all by COBS.
struct Encoder<'b> {
    cobs: CobsEncoder<'b>,
    crc: Digest<'static, u16, NoTable>,
    bytes: usize,
}

impl Flavor for Encoder<'_> {
    /// Bytes of the encoded frame.
    type Output = usize;

    // One byte at a time and never inlined: all else is 1 KB more code.
    #[inline(never)]
    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.bytes += 1;
        self.crc.update(&[byte]);
        self.cobs.push(&[byte]).map_err(|_| postcard::Error::SerializeBufferFull)
    }

    fn finalize(mut self) -> postcard::Result<usize> {
        let crc = self.crc.clone().finalize();
        self.try_extend(&crc.to_le_bytes())?;
        if self.bytes > FRAME_BYTES {
            return Err(postcard::Error::SerializeBufferFull);
        }
        Ok(self.cobs.finalize())
    }
}

/// Undoes the COBS of what came between zeros, in place; none if it is no encoding of anything.
pub fn decode(bytes: &mut [u8]) -> Option<&mut [u8]> {
    if bytes.contains(&0) {
        return None;
    }
    let length = cobs::decode_in_place(bytes).ok()?;
    bytes.get_mut(..length)
}

/// The request's number and the message of a decoded frame.
///
/// # Errors
/// [`Fault::FrameDamaged`], [`Fault::ProtocolVersion`] or [`Fault::UnknownMessage`], each with the
/// request's number where that can be believed.
pub fn open<'b, M: Deserialize<'b>>(frame: &'b [u8]) -> Result<(u16, M), (u16, Fault)> {
    let damaged = (0, Fault::FrameDamaged);
    let (covered, crc) = frame.split_last_chunk().ok_or(damaged)?;
    if CRC16.checksum(covered) != u16::from_le_bytes(*crc) {
        return Err(damaged);
    }
    let [version, low, high, message @ ..] = covered else {
        return Err(damaged);
    };
    let number = u16::from_le_bytes([*low, *high]);
    if *version != VERSION {
        return Err((number, Fault::ProtocolVersion));
    }
    match postcard::take_from_bytes(message) {
        Ok((message, [])) => Ok((number, message)),
        _ => Err((number, Fault::UnknownMessage)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Request;
    extern crate std;
    use proptest::prelude::*;
    use std::vec::Vec;

    /// Bytes with many zeros and long runs, where the cases of the encoding are.
    fn bytes() -> impl Strategy<Value = Vec<u8>> {
        let part = prop_oneof![
            Just(Vec::from([0])),
            proptest::collection::vec(any::<u8>(), 0..40),
            (235..265_usize).prop_map(|n| std::vec![7; n]),
        ];
        proptest::collection::vec(part, 0..4).prop_map(|parts| parts.concat())
    }

    /// COBS by its definition; a last run of 254 bytes has no code after it.
    fn reference(bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        for run in bytes.split(|&byte| byte == 0) {
            let mut rest = run;
            while let Some((full, after)) = rest.split_at_checked(254) {
                out.push(255);
                out.extend(full);
                rest = after;
            }
            out.push(rest.len() as u8 + 1);
            out.extend(rest);
        }
        let last = bytes.rsplit(|&byte| byte == 0).next().unwrap();
        if !last.is_empty() && last.len().is_multiple_of(254) {
            out.pop();
        }
        out
    }

    #[test]
    fn nothing_is_an_encoding_of_nothing_only_with_its_code() {
        assert_eq!(decode(&mut []), None);
        assert_eq!(decode(&mut [1]), Some(&mut [][..]));
    }

    #[test]
    fn the_longest_frame_fits_and_one_byte_more_does_not() {
        let text = |bytes: usize| {
            let mut buffer = [0; WIRE_BYTES];
            encode(1, &Request::Classify(&"x".repeat(bytes)), &mut buffer).map(<[u8]>::len)
        };
        // Version, number, kind, two bytes of length, checksum.
        let longest = FRAME_BYTES - 1 - 2 - 1 - 2 - 2;
        // As PROTOCOL.md says.
        assert_eq!(longest, 1029);
        assert_eq!(text(longest), Ok(WIRE_BYTES));
        assert_eq!(text(longest + 1), Err(Fault::FrameTooLong));
    }

    proptest! {
        #[test]
        fn equals_the_reference_and_comes_back(number: u16, data in bytes()) {
            let request = Request::Chunk { offset: 0, data: &data };
            let mut buffer = [0; WIRE_BYTES];
            let wire = encode(number, &request, &mut buffer).unwrap();
            let mut inner = wire[2..wire.len() - 1].to_vec();
            let encoded = inner.clone();
            prop_assert!(!inner.contains(&0));
            let decoded = decode(&mut inner).unwrap();
            prop_assert_eq!(&encoded, &reference(decoded));
            prop_assert_eq!(wire, [&[0, 0], &encoded[..], &[0]].concat());
            prop_assert_eq!(open::<Request<'_>>(decoded), Ok((number, request)));
        }

        #[test]
        fn any_bytes_are_decoded_or_refused_as_the_crate_does(
            mut bytes in proptest::collection::vec(any::<u8>(), 0..600),
        ) {
            bytes.iter_mut().step_by(3).for_each(|b| *b %= 9);
            let theirs = {
                let mut out = std::vec![0; bytes.len()];
                ::cobs::decode(&bytes, &mut out).ok().map(|report| out[..report.frame_size()].to_vec())
            };
            let has_zero = bytes.contains(&0);
            let ours = decode(&mut bytes).map(|x| x.to_vec());
            // A zero ends a frame, so it never comes here; the crate stops there.
            if has_zero {
                prop_assert_eq!(ours, None);
            } else {
                prop_assert_eq!(ours, theirs);
            }
        }
    }
}

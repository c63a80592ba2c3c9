//! A frame: protocol version, number of the request, message, CRC-16, in COBS between zeros.

use crate::{Fault, cobs};
use crc::{CRC_16_IBM_3740, Crc, NoTable};
use serde::{Deserialize, Serialize};

/// The protocol version that this crate speaks.
pub const VERSION: u8 = 1;
/// The most bytes of the model in one chunk.
pub const CHUNK_BYTES: usize = 1024;
/// The longest frame before encoding: version, number, a chunk's kind, offset, length and data, CRC.
pub const FRAME_BYTES: usize = 1 + 2 + 1 + 5 + 2 + CHUNK_BYTES + 2;
/// The longest frame after encoding, without the zeros around it.
pub const ENCODED_BYTES: usize = cobs::encoded_bytes(FRAME_BYTES);

/// Bytes before the message: version and number.
const HEAD: usize = 3;

const CRC16: Crc<u16, NoTable> = Crc::<u16, NoTable>::new(&CRC_16_IBM_3740);

/// Puts a message into the front of `buffer`: everything of a frame but COBS.
///
/// # Errors
/// [`Fault::FrameTooLong`] when it does not fit.
pub fn seal<'b>(
    number: u16,
    message: &impl Serialize,
    buffer: &'b mut [u8],
) -> Result<&'b [u8], Fault> {
    let [low, high] = number.to_le_bytes();
    let start = buffer.first_chunk_mut().ok_or(Fault::FrameTooLong)?;
    *start = [VERSION, low, high];
    let rest = buffer.get_mut(HEAD..).unwrap_or_default();
    let end = HEAD + postcard::to_slice(message, rest).map_err(|_| Fault::FrameTooLong)?.len();
    let crc = CRC16.checksum(buffer.get(..end).unwrap_or_default());
    let after = buffer.get_mut(end..).and_then(|rest| rest.first_chunk_mut());
    *after.ok_or(Fault::FrameTooLong)? = crc.to_le_bytes();
    buffer.get(..end + 2).ok_or(Fault::FrameTooLong)
}

/// What was sealed: the request's number and the message.
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

/// Hands a sealed frame to `emit` as it goes over the wire.
///
/// Two zeros come first: the first may end what another frame's lost end left open, the second begins
/// this one whatever came before.
///
/// # Errors
/// The first of `emit`.
pub fn wire<E>(sealed: &[u8], mut emit: impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
    emit(&[0, 0])?;
    cobs::encode(sealed, &mut emit)?;
    emit(&[0])
}

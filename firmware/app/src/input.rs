//! Reads what comes over the port: typed lines and frames, told apart by a zero byte.

use crate::LINE_BYTES;
use cobs::{DecodeResult, DecoderState};
use embedded_io::Read;
use heapless::Vec;
use qdllm_link::Fault;
use qdllm_link::frame::{ENCODED_BYTES, WIRE_BYTES};

/// What came in; its bytes are the buffer's.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Input {
    /// A typed line in UTF-8.
    Line,
    /// A frame without its COBS.
    Frame,
    /// A line or a frame that cannot be used.
    Bad(Fault),
    /// The port gives no more bytes. What was left of a line or frame is dropped.
    Closed,
}

/// Room for one line or frame, and what must be remembered between lines.
#[derive(Debug)]
pub(crate) struct Buffer {
    pub(crate) bytes: Vec<u8, WIRE_BYTES>,
    /// The last line ended with `\r`: a `\n` that follows belongs to that end.
    after_return: bool,
}

impl Buffer {
    /// An empty buffer; a static of it takes no flash.
    pub(crate) const fn new() -> Self {
        Self { bytes: Vec::new(), after_return: false }
    }

    /// Reads up to the next line end or the end of a frame. Where the port fails, the part of a line or frame that came
    /// before is dropped.
    pub(crate) fn read<P: Read>(&mut self, port: &mut P) -> Result<Input, P::Error> {
        self.bytes.clear();
        let mut too_long = false;
        loop {
            let Some(byte) = next(port)? else {
                return Ok(Input::Closed);
            };
            let follows_return = core::mem::replace(&mut self.after_return, byte == b'\r');
            match byte {
                // A frame begins; what was typed before it is dropped.
                0 => return self.frame(port),
                b'\n' if follows_return => {}
                b'\n' | b'\r' => break,
                _ => too_long |= self.bytes.len() == LINE_BYTES || self.bytes.push(byte).is_err(),
            }
        }
        if too_long {
            return Ok(Input::Bad(Fault::LineTooLong));
        }
        let utf8 = core::str::from_utf8(&self.bytes).is_ok();
        Ok(if utf8 { Input::Line } else { Input::Bad(Fault::NotUtf8) })
    }

    /// The line that was read; empty if it is no text.
    pub(crate) fn line(&self) -> &str {
        core::str::from_utf8(&self.bytes).unwrap_or_default()
    }

    /// Reads the rest of a frame. One that grows too long is given up at once: somebody may have
    /// begun to type after a frame that never ended. Inlined, it costs the Pico 2 KB of code.
    #[inline(never)]
    fn frame<P: Read>(&mut self, port: &mut P) -> Result<Input, P::Error> {
        self.bytes.clear();
        let mut decoder = DecoderState::default();
        let mut received = 0;
        loop {
            let Some(byte) = next(port)? else { return Ok(Input::Closed) };
            if byte != 0 && received == ENCODED_BYTES {
                return Ok(Input::Bad(Fault::FrameTooLong));
            }
            received += usize::from(byte != 0);
            match decoder.feed(byte) {
                // Decoding only shortens: it fits.
                Ok(DecodeResult::DataContinue(byte)) => drop(self.bytes.push(byte)),
                Ok(DecodeResult::DataComplete) => return Ok(Input::Frame),
                Ok(DecodeResult::NoData | DecodeResult::DataStart) => {}
                Err(_) => return Ok(Input::Bad(Fault::FrameDamaged)),
            }
        }
    }
}

/// The next byte; none where the port has ended.
fn next<P: Read>(port: &mut P) -> Result<Option<u8>, P::Error> {
    let mut byte = 0;
    let count = port.read(core::slice::from_mut(&mut byte))?;
    Ok((count != 0).then_some(byte))
}

#[cfg(test)]
mod tests {
    use super::*;
    extern crate std;
    use std::format;
    use std::string::String;
    use std::vec;
    use std::vec::Vec;

    /// All inputs, as text, as frame in hex, or as the name of what was wrong.
    fn inputs(mut bytes: &[u8]) -> Vec<String> {
        let mut buffer = Buffer::new();
        let mut found = vec![];
        loop {
            let input = buffer.read(&mut bytes);
            match input {
                Ok(Input::Closed) | Err(_) => return found,
                Ok(Input::Line) => found.push(buffer.line().into()),
                Ok(Input::Frame) => found.push(format!("{:02x?}", buffer.bytes.as_slice())),
                Ok(Input::Bad(fault)) => found.push(format!("{fault:?}")),
            }
        }
    }

    #[test]
    fn every_line_end_is_one_end() {
        assert_eq!(inputs(b"a\nb\rc\r\nd\n\re\r\r\nf"), ["a", "b", "c", "d", "", "e", ""]);
    }

    #[test]
    fn the_longest_line_fits_and_one_byte_more_does_not() {
        let mut input = vec![b'x'; LINE_BYTES];
        input.push(b'\n');
        input.extend(vec![b'y'; LINE_BYTES + 1]);
        input.extend(b"\nz\n");
        let found = inputs(&input);
        assert_eq!(found.len(), 3);
        assert_eq!(found.first().map(String::len), Some(LINE_BYTES));
        assert_eq!(found.get(1..), Some(["LineTooLong".into(), "z".into()].as_slice()));
    }

    #[test]
    fn broken_utf8_spoils_only_its_own_line() {
        assert_eq!(
            inputs(b"caf\xc3\xa9\n\xc3\n\xff\xfe\nok\n"),
            ["café", "NotUtf8", "NotUtf8", "ok"]
        );
    }

    #[test]
    fn frames_and_lines_alternate() {
        assert_eq!(inputs(b"a\n\0\0\x02\x07\0b\n\0\x02\x08\0c\n"), ["a", "[07]", "b", "[08]", "c"]);
        // A half-typed line gives way to a frame.
        assert_eq!(inputs(b"half\0\x02\x07\0b\n"), ["[07]", "b"]);
        assert_eq!(inputs(b"\0\x03\x07\0b\n"), ["FrameDamaged", "b"]);
    }

    #[test]
    fn a_good_frame_is_read_whatever_came_before() {
        let good: &[u8] = b"\0\0\x02\x07\0";
        let before: [&[u8]; 7] =
            [b"", b"x", b"\0\x02\x09", b"\0", b"\x02\x09\0", b"\0\x05\x09", b"\xff\r\0\0\x01"];
        for start in before {
            let found = inputs(&[start, good].concat());
            assert_eq!(found.last().map(String::as_str), Some("[07]"), "{start:?}: {found:?}");
        }
    }

    #[test]
    fn a_frame_without_end_is_given_up_and_typing_goes_on() {
        let found = inputs(&[&b"\0"[..], &[b'x'; ENCODED_BYTES + 1], b"\nhello\n"].concat());
        assert_eq!(found, ["FrameTooLong", "", "hello"]);
    }
}

//! Reads lines of text from a serial port into a buffer of fixed size.

use embedded_io::Read;

/// The longest line that is accepted, in bytes without its end.
pub const LINE_BYTES: usize = 1024;

/// One line as it came in.
#[derive(Debug, PartialEq, Eq)]
pub enum Line<'a> {
    /// A complete line, without its end.
    Text(&'a str),
    /// Longer than [`LINE_BYTES`]; the rest up to its end was read and dropped.
    TooLong,
    /// Not UTF-8.
    NotUtf8,
    /// The port gives no more bytes. What was left without a line end is dropped.
    Closed,
}

/// Room for one line, and what must be remembered between lines.
#[derive(Debug)]
pub struct LineBuffer {
    bytes: [u8; LINE_BYTES],
    /// The last line ended with `\r`: a `\n` that follows belongs to that end.
    after_return: bool,
}

impl LineBuffer {
    /// An empty buffer, all zeros so that a static of it takes no flash.
    pub const fn new() -> Self {
        Self { bytes: [0; LINE_BYTES], after_return: false }
    }

    /// Reads up to the next line end.
    ///
    /// # Errors
    /// Those of the port; the part of a line that came before is dropped.
    pub fn read<P: Read>(&mut self, port: &mut P) -> Result<Line<'_>, P::Error> {
        let mut length = 0;
        let mut too_long = false;
        loop {
            let mut byte = 0;
            if port.read(core::slice::from_mut(&mut byte))? == 0 {
                return Ok(Line::Closed);
            }
            let follows_return = core::mem::replace(&mut self.after_return, byte == b'\r');
            match byte {
                b'\n' if follows_return => {}
                b'\n' | b'\r' => break,
                _ => match self.bytes.get_mut(length) {
                    Some(slot) => {
                        *slot = byte;
                        length += 1;
                    }
                    None => too_long = true,
                },
            }
        }
        if too_long {
            return Ok(Line::TooLong);
        }
        let text = self.bytes.get(..length).and_then(|bytes| core::str::from_utf8(bytes).ok());
        Ok(text.map_or(Line::NotUtf8, Line::Text))
    }
}

impl Default for LineBuffer {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    extern crate std;
    use std::string::String;
    use std::vec;
    use std::vec::Vec;

    /// All lines of `input`, as text or the name of what was wrong.
    fn lines(mut input: &[u8]) -> Vec<String> {
        let mut buffer = LineBuffer::new();
        let mut found = vec![];
        loop {
            match buffer.read(&mut input) {
                Ok(Line::Closed) | Err(_) => return found,
                Ok(Line::Text(text)) => found.push(text.into()),
                Ok(other) => found.push(std::format!("{other:?}")),
            }
        }
    }

    #[test]
    fn every_line_end_is_one_end() {
        assert_eq!(lines(b"a\nb\rc\r\nd\n\re\r\r\nf"), ["a", "b", "c", "d", "", "e", ""]);
    }

    #[test]
    fn the_longest_line_fits_and_one_byte_more_does_not() {
        let mut input = vec![b'x'; LINE_BYTES];
        input.push(b'\n');
        input.extend(vec![b'y'; LINE_BYTES + 1]);
        input.extend(b"\nz\n");
        let found = lines(&input);
        assert_eq!(found.len(), 3);
        assert_eq!(found.first().map(String::len), Some(LINE_BYTES));
        assert_eq!(found.get(1..), Some(["TooLong".into(), "z".into()].as_slice()));
    }

    #[test]
    fn broken_utf8_spoils_only_its_own_line() {
        assert_eq!(
            lines(b"caf\xc3\xa9\n\xc3\n\xff\xfe\nok\n"),
            ["café", "NotUtf8", "NotUtf8", "ok"]
        );
    }
}

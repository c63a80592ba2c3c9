//! A soft label file line by line.

use super::error::{SoftError, SoftFault, SoftFile};
use super::record::{Header, SoftRow, parse_row};
use crate::data::{Line, read_line};
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;

/// Header and rows of a file in order, with the digest of all bytes read so far.
pub(super) struct SoftReader<'a> {
    path: &'a Path,
    reader: BufReader<Hashed<File>>,
    line: u64,
    pub(super) buffer: Vec<u8>,
    /// Bytes up to the end of the last line that ended in `\n`.
    pub(super) whole: u64,
    pub(super) torn: bool,
}

impl<'a> SoftReader<'a> {
    pub(super) fn open(path: &'a Path) -> Result<Self, SoftError> {
        let open = |e: io::Error| SoftFile::new(path, SoftFault::Open(e.to_string()));
        let file = File::open(path).map_err(open)?;
        if file.metadata().map_err(open)?.is_dir() {
            return Err(SoftFile::new(path, SoftFault::Directory).into());
        }
        Ok(Self {
            path,
            reader: BufReader::with_capacity(1 << 16, Hashed(file, Sha256::new())),
            line: 0,
            buffer: Vec::new(),
            whole: 0,
            torn: false,
        })
    }

    /// Fills `buffer` with the next line that is not blank; `false` at the end of the file.
    pub(super) fn next_line(&mut self) -> Result<bool, SoftError> {
        loop {
            self.line += 1;
            let read = read_line(&mut self.reader, &mut self.buffer)
                .map_err(|e| self.fault(SoftFault::Read(e.to_string())))?;
            match read {
                Line::End => return Ok(false),
                Line::TooLong => return Err(self.fault(SoftFault::TooLong)),
                Line::Read { newline: true } => {
                    self.whole += u64::try_from(self.buffer.len() + 1).unwrap_or(u64::MAX);
                }
                Line::Read { newline: false } => self.torn = true,
            }
            if self.line == 1 && self.buffer.starts_with(b"\xEF\xBB\xBF") {
                self.buffer.drain(..3);
            }
            if !self.buffer.trim_ascii().is_empty() {
                return Ok(true);
            }
        }
    }

    pub(super) fn header(&mut self) -> Result<Option<Header>, SoftError> {
        if !self.next_line()? {
            return Ok(None);
        }
        let header = Header::parse(&self.buffer).map_err(|f| self.fault(f))?;
        Ok(Some(header))
    }

    pub(super) fn row(&mut self, classes: usize) -> Result<Option<SoftRow>, SoftError> {
        if !self.next_line()? {
            return Ok(None);
        }
        match parse_row(&self.buffer, classes) {
            Ok(row) => Ok(Some(row)),
            // A run that was ended in the middle of a write leaves half a line, without a line end.
            Err(_) if self.torn => Err(self.fault(SoftFault::Torn)),
            Err(fault) => Err(self.fault(fault)),
        }
    }

    pub(super) fn fault(&self, fault: SoftFault) -> SoftError {
        SoftFile::at(self.path, self.line, fault).into()
    }

    pub(super) fn finish(self) -> [u8; 32] {
        self.reader.into_inner().1.finalize().into()
    }
}

/// A reader that hashes what passes through.
struct Hashed<R>(R, Sha256);

impl<R: Read> Read for Hashed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.0.read(buffer)?;
        self.1.update(&buffer[..read]);
        Ok(read)
    }
}

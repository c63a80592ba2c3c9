//! Soft labels: a teacher's logits for texts, kept as JSON lines under the texts' SHA-256.
//!
//! The first line is a header, every other line is one text:
//!
//! ```text
//! {"qdllm_soft":1,"classes":["off","on"],"teacher":{"name":"..","digest":"..","method":"..","command":".."}}
//! {"text_sha256":"<64 hex digits>","logits":[-1.25,3.0312]}
//! ```
//!
//! A row may name its text in place of the digest (`"text":".."`), and a header may leave the teacher out: what other
//! programs write ([`SoftLabels::open`] reads safetensors, too).
//!
//! Logits stand in the order of the header's classes, with at most four decimals. A row may carry a
//! `teacher` object of its own, which is not read. Rows are found by text, so the order of the file
//! does not matter and one file can serve several data files.

mod error;
mod precomputed;
mod record;
mod writer;

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::data::{Line, read_line, text_digest};
pub use error::{SoftError, SoftFault};
pub(crate) use record::parse_hex;
use record::{Header, SoftRow, parse_row};
pub use writer::SoftWriter;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TeacherInfo {
    pub name: String,
    /// Digest of the model's files: what tells two teachers apart.
    pub digest: String,
    /// How logits were drawn from the model (probe, zero-shot, layer, pooling, prompt).
    pub method: String,
    /// The command that made the file; empty when unknown.
    #[serde(default)]
    pub command: String,
}

/// A soft label file in memory: 4 bytes a logit and about 40 bytes a text.
#[derive(Debug)]
pub struct SoftLabels {
    /// The classes, in the order of the logits.
    pub classes: Vec<String>,
    pub teacher: TeacherInfo,
    rows: HashMap<[u8; 32], u32>,
    logits: Vec<f32>,
    digest: [u8; 32],
}

impl SoftLabels {
    /// Reads a whole file.
    ///
    /// # Errors
    /// When the file cannot be read or is empty, when its header is not one of this format, and at
    /// the first row that is malformed, holds a logit that is not finite, has another number of
    /// logits than there are classes, or contradicts an earlier row of the same text.
    pub fn read(path: &Path) -> Result<Self, SoftError> {
        let mut reader = SoftReader::open(path)?;
        let Some(Header { classes, teacher, .. }) = reader.header()? else {
            return Err(reader.fault(SoftFault::NoHeader));
        };
        let mut labels =
            Self { classes, teacher, rows: HashMap::new(), logits: Vec::new(), digest: [0; 32] };
        while let Some((digest, logits)) = reader.row(labels.classes.len())? {
            labels.insert(digest, &logits).map_err(|f| reader.fault(f))?;
        }
        labels.digest = reader.finish();
        Ok(labels)
    }

    fn insert(&mut self, digest: [u8; 32], logits: &[f32]) -> Result<(), SoftFault> {
        let next = u32::try_from(self.rows.len()).map_err(|_| SoftFault::TooMany)?;
        match self.rows.entry(digest) {
            Entry::Vacant(slot) => {
                slot.insert(next);
                self.logits.extend_from_slice(logits);
                Ok(())
            }
            Entry::Occupied(slot) if at(&self.logits, *slot.get(), logits.len()) == logits => {
                Ok(())
            }
            Entry::Occupied(_) => Err(SoftFault::Contradiction),
        }
    }

    /// The logits of a text, one a class; `None` when the teacher has not seen it.
    #[must_use]
    pub fn get(&self, text: &str) -> Option<&[f32]> {
        let row = *self.rows.get(&text_digest(text))?;
        Some(at(&self.logits, row, self.classes.len()))
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether the file holds a header and nothing more.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// SHA-256 of the file's bytes.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        self.digest
    }
}

fn at(logits: &[f32], row: u32, classes: usize) -> &[f32] {
    // u32 fits usize on every host that holds the logits at all.
    let start = row as usize * classes;
    &logits[start..start + classes]
}

/// Header and rows of a file in order, with the digest of all bytes read so far.
struct SoftReader<'a> {
    path: &'a Path,
    reader: BufReader<Hashed<File>>,
    line: u64,
    buffer: Vec<u8>,
    /// Bytes up to the end of the last line that ended in `\n`.
    whole: u64,
    torn: bool,
}

impl<'a> SoftReader<'a> {
    fn open(path: &'a Path) -> Result<Self, SoftError> {
        let open = |reason| SoftError::Open { path: path.into(), reason };
        let file = File::open(path).map_err(open)?;
        if file.metadata().map_err(open)?.is_dir() {
            return Err(SoftError::Directory { path: path.into() });
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
    fn next_line(&mut self) -> Result<bool, SoftError> {
        loop {
            self.line += 1;
            let read = read_line(&mut self.reader, &mut self.buffer).map_err(|reason| {
                SoftError::Read { path: self.path.into(), line: self.line, reason }
            })?;
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

    fn header(&mut self) -> Result<Option<Header>, SoftError> {
        if !self.next_line()? {
            return Ok(None);
        }
        let header = Header::parse(&self.buffer).map_err(|f| self.fault(f))?;
        Ok(Some(header))
    }

    fn row(&mut self, classes: usize) -> Result<Option<SoftRow>, SoftError> {
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

    fn fault(&self, fault: SoftFault) -> SoftError {
        SoftError::Row { path: self.path.into(), line: self.line, fault }
    }

    fn finish(self) -> [u8; 32] {
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

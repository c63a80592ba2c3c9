//! Features on disk: an append-only file a model and setting, so that no text is run through a model twice.
//!
//! Layout, little endian: magic `qdllmfc1`, cells u32, width u32, SHA-256 of the identity; then fixed-size records of
//! key (SHA-256 of identity and text, 32 bytes), tokens u32 with bit 31 set when the text was cut and bit 30 when the
//! next record belongs to the same chunk, and for each cell `width` f32 followed by the CRC-32 of those bytes. A run
//! that ends in the middle of a chunk leaves a torn tail, which opening drops: a chunk is held whole or not at all.
//! The index lives in memory and is rebuilt from the keys.

use crate::teacher::{Identity, Pooled};
use anyhow::{Result, bail};
use crc::{CRC_32_ISO_HDLC, Crc};
use qdllm_host::errors::OfFile as _;
use qdllm_host::hex;
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::fmt::Display;
use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};

const MAGIC: &[u8; 8] = b"qdllmfc1";
const HEADER_BYTES: usize = 8 + 4 + 4 + 32;
/// Key and token count in front of a record's vectors.
const RECORD_HEAD_BYTES: usize = 32 + 4;
const CUT: u32 = 1 << 31;
const MORE: u32 = 1 << 30;
const CRC: Crc<u32> = Crc::<u32>::new(&CRC_32_ISO_HDLC);

pub type Key = [u8; 32];

pub struct Cache {
    pub path: PathBuf,
    file: File,
    seed: [u8; 32],
    cells: usize,
    width: usize,
    index: HashMap<Key, Entry>,
    pub records: u64,
}

/// What is known of a held text without reading its vectors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    record: u64,
    pub tokens: usize,
    pub cut: bool,
}

impl Cache {
    /// Opens or creates the file for `identity` in `folder`; a torn tail is cut off.
    pub fn open(folder: &Path, identity: &Identity, cells: usize, width: usize) -> Result<Self> {
        std::fs::create_dir_all(folder).of_file(folder)?;
        // The name is for people: a renamed file of equal bytes keeps its cache.
        let mut hash = Sha256::new_with_prefix(b"qdllm features");
        for part in [&identity.digest, &identity.settings] {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part.as_bytes());
        }
        let seed: [u8; 32] = hash.finalize().into();
        let path = folder.join(format!("{}.features", &hex::encode(seed)[..16]));
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let file = options.open(&path).of_file(&path)?;
        if file.try_lock().is_err() {
            bail!(
                "{}: another run is writing this cache; wait for it or give this run its own with --cache",
                path.display()
            );
        }
        let mut cache = Self { path, file, seed, cells, width, index: HashMap::new(), records: 0 };
        let header =
            [MAGIC, &(cells as u32).to_le_bytes()[..], &(width as u32).to_le_bytes(), &seed];
        if !cache.read_index(&header.concat()).of_file(&cache.path)? {
            return cache.refuse("is not the feature file its name says");
        }
        Ok(cache)
    }

    /// An error of the file, which can always be made again.
    pub fn refuse<T>(&self, what: impl Display) -> Result<T> {
        bail!("{}: {what}; delete the file and run again", self.path.display())
    }

    pub fn key(&self, text: &str) -> Key {
        let mut hash = Sha256::new_with_prefix(self.seed);
        hash.update(text.as_bytes());
        hash.finalize().into()
    }

    pub fn get(&self, key: &Key) -> Option<Entry> {
        self.index.get(key).copied()
    }

    /// Appends one chunk of features and hands it to the system; keys already held are left as they are.
    pub fn append(&mut self, rows: &[(Key, Pooled)]) -> Result<()> {
        let mut fresh: Vec<&(Key, Pooled)> = Vec::new();
        for row in rows {
            let (expected, got) = (self.cells * self.width, row.1.values.len());
            if got != expected {
                return self.refuse(format!("holds records of {expected} numbers, got {got}"));
            }
            if !self.index.contains_key(&row.0) && !fresh.iter().any(|held| held.0 == row.0) {
                fresh.push(row);
            }
        }
        let mut bytes = Vec::new();
        for (left, (key, row)) in (0..fresh.len()).rev().zip(&fresh) {
            bytes.extend_from_slice(key);
            let flags = if row.cut { CUT } else { 0 } | if left > 0 { MORE } else { 0 };
            bytes.extend_from_slice(&(row.tokens as u32 | flags).to_le_bytes());
            for cell in row.values.chunks_exact(self.width) {
                let start = bytes.len();
                bytes.extend(cell.iter().flat_map(|v| v.to_le_bytes()));
                let sum = CRC.checksum(&bytes[start..]);
                bytes.extend_from_slice(&sum.to_le_bytes());
            }
        }
        let end = self.file.seek(SeekFrom::Start(self.offset(self.records)));
        end.and_then(|_| self.file.write_all(&bytes)).of_file(&self.path)?;
        for (key, row) in fresh {
            let entry = Entry { record: self.records, tokens: row.tokens, cut: row.cut };
            self.index.insert(*key, entry);
            self.records += 1;
        }
        Ok(())
    }

    /// One cell's vector of a text; `None` when it is not held.
    pub fn read(&mut self, key: &Key, cell: usize) -> Result<Option<Vec<f32>>> {
        let Some(&Entry { record, .. }) = self.index.get(key) else { return Ok(None) };
        let start = self.offset(record) + (RECORD_HEAD_BYTES + cell * self.cell_bytes()) as u64;
        let bytes = self.read_at(start, self.cell_bytes()).of_file(&self.path)?;
        let Some(values) = self.values(&bytes) else {
            return self.refuse(format!("record {record} does not match its checksum"));
        };
        let float = |b: &[u8]| f32::from_le_bytes([b[0], b[1], b[2], b[3]]);
        Ok(Some(values.chunks_exact(4).map(float).collect()))
    }

    fn read_at(&mut self, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; length];
        self.file.seek(SeekFrom::Start(offset))?;
        self.file.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    fn cell_bytes(&self) -> usize {
        self.width * 4 + 4
    }

    /// The bytes of a cell's vector, if they match the checksum behind them.
    fn values<'a>(&self, cell: &'a [u8]) -> Option<&'a [u8]> {
        let (values, sum) = cell.split_at(self.width * 4);
        (CRC.checksum(values).to_le_bytes() == sum).then_some(values)
    }

    fn record_bytes(&self) -> usize {
        RECORD_HEAD_BYTES + self.cells * self.cell_bytes()
    }

    fn offset(&self, record: u64) -> u64 {
        HEADER_BYTES as u64 + record * self.record_bytes() as u64
    }

    /// Begins the file with `header`, or reads the keys of all whole chunks behind it and cuts off what follows the last
    /// good one; false where another header stands there.
    fn read_index(&mut self, header: &[u8]) -> io::Result<bool> {
        let bytes = self.file.metadata()?.len();
        if bytes < HEADER_BYTES as u64 {
            self.file.set_len(0)?;
            self.file.write_all(header)?;
            return Ok(true);
        }
        if self.read_at(0, HEADER_BYTES)? != header {
            return Ok(false);
        }
        let mut reader = BufReader::with_capacity(1 << 16, &self.file);
        // How many records there are at the end of each chunk.
        let mut ends = vec![0];
        for record in 0..(bytes - HEADER_BYTES as u64) / self.record_bytes() as u64 {
            let (mut key, mut word) = ([0; 32], [0; 4]);
            reader.read_exact(&mut key)?;
            reader.read_exact(&mut word)?;
            reader.seek_relative((self.record_bytes() - RECORD_HEAD_BYTES) as i64)?;
            let word = u32::from_le_bytes(word);
            let tokens = (word & !(CUT | MORE)) as usize;
            self.index.insert(key, Entry { record, tokens, cut: word & CUT != 0 });
            if word & MORE == 0 {
                ends.push(record + 1);
            }
        }
        // Only the newest chunk can be half on disk with the file already long enough: check from the end.
        while let [.., before, end] = ends[..] {
            if self.sound(before..end)? {
                break;
            }
            ends.pop();
        }
        self.records = ends.last().copied().unwrap_or(0);
        self.index.retain(|_, entry| entry.record < self.records);
        self.file.set_len(self.offset(self.records))?;
        Ok(true)
    }

    /// Whether all vectors of these records are what was written.
    fn sound(&mut self, mut records: Range<u64>) -> io::Result<bool> {
        records.try_fold(true, |sound, record| {
            let bytes = self.read_at(self.offset(record), self.record_bytes())?;
            let mut cells = bytes[RECORD_HEAD_BYTES..].chunks_exact(self.cell_bytes());
            Ok(sound && cells.all(|cell| self.values(cell).is_some()))
        })
    }
}

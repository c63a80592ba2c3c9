//! Writes a soft label file row by row and takes up one that was left unfinished.

use std::collections::HashSet;
use std::fs::{File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::error::{SoftError, SoftFault, SoftFile};
use super::record::{Header, SoftReader, TeacherInfo, check_classes, check_logits, format_row};
use crate::data::text_digest;

/// Appends rows to a soft label file.
///
/// Every row is handed to the system in one write as soon as it is appended, so a run that is
/// ended at any moment loses at most the row it was writing; [`SoftWriter::flush`] also waits for
/// the disk.
#[derive(Debug)]
pub struct SoftWriter {
    path: PathBuf,
    file: File,
    classes: usize,
    done: HashSet<[u8; 32]>,
}

impl SoftWriter {
    /// Creates the file, or takes up an existing one that has the same header.
    ///
    /// The same header means the same classes in the same order and the same teacher (name, digest
    /// and method; the command may differ). A last line without a line end is half a row of a run
    /// that was ended, and is dropped.
    ///
    /// # Errors
    /// When the file cannot be opened, is not a soft label file, is damaged before its last line,
    /// or has another header. An existing file is then left as it was.
    pub fn open(path: &Path, classes: &[String], teacher: &TeacherInfo) -> Result<Self, SoftError> {
        let header = Header::new(classes, teacher);
        let refuse = |fault| SoftFile::new(path, SoftFault::Append(Box::new(fault)));
        check_classes(classes).map_err(refuse)?;
        let first = serde_json::to_string(&header)
            .map_err(|e| refuse(SoftFault::Json(e.to_string())))?
            + "\n";
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(|e| SoftFile::new(path, SoftFault::Open(e.to_string())))?;
        let mut writer =
            Self { path: path.into(), file, classes: classes.len(), done: HashSet::new() };
        let whole = writer.take_up(&header, &first)?;
        let cut = writer.file.set_len(whole);
        let end = cut.and_then(|()| writer.file.seek(SeekFrom::End(0)));
        if end.map_err(|e| writer.failed(e))? == 0 {
            writer.write(first.as_bytes())?;
        }
        Ok(writer)
    }

    /// Reads what is there already; returns how many bytes of it to keep.
    fn take_up(&mut self, header: &Header, first: &str) -> Result<u64, SoftError> {
        let path = self.path.clone();
        let mut reader = SoftReader::open(&path)?;
        let found = reader.header();
        if reader.torn {
            // Ended within the first write? Then the file is a beginning of our own header.
            let ours = first.as_bytes().starts_with(&reader.buffer);
            return if ours { Ok(0) } else { Err(reader.fault(SoftFault::NoHeader)) };
        }
        let Some(found) = found? else {
            return Ok(0);
        };
        self.compare(&found, header)?;
        loop {
            let row = reader.row(self.classes);
            if reader.torn {
                return Ok(reader.whole);
            }
            match row? {
                Some((digest, _)) => self.done.insert(digest),
                None => return Ok(reader.whole),
            };
        }
    }

    fn compare(&self, found: &Header, wanted: &Header) -> Result<(), SoftError> {
        let quote = |text: &String| format!("`{text}`");
        let list = |names: &[String]| names.iter().map(quote).collect::<Vec<_>>().join(", ");
        let (old, new) = (&found.teacher, &wanted.teacher);
        for (field, found, wanted) in [
            ("classes", list(&found.classes), list(&wanted.classes)),
            ("teacher.name", quote(&old.name), quote(&new.name)),
            ("teacher.digest", quote(&old.digest), quote(&new.digest)),
            ("teacher.method", quote(&old.method), quote(&new.method)),
        ] {
            if found != wanted {
                let other = SoftFault::OtherHeader { field, found, wanted };
                return Err(SoftFile::at(&self.path, 1, other).into());
            }
        }
        Ok(())
    }

    /// Whether a text's logits are in the file already.
    pub fn contains(&self, text: &str) -> bool {
        self.done.contains(&text_digest(text))
    }

    /// Number of different texts in the file.
    pub fn done(&self) -> usize {
        self.done.len()
    }

    /// Adds a text's logits, one a class, written with at most four decimals. A text that is in
    /// the file already is left as it is; returns whether a row was added.
    pub fn append(&mut self, text: &str, logits: &[f32]) -> Result<bool, SoftError> {
        check_logits(logits, self.classes)
            .map_err(|fault| SoftFile::new(&self.path, SoftFault::Append(Box::new(fault))))?;
        let digest = text_digest(text);
        if self.done.contains(&digest) {
            return Ok(false);
        }
        self.write(format_row(&digest, logits).as_bytes())?;
        self.done.insert(digest);
        Ok(true)
    }

    /// Adds what `ask` says of the texts that are not in the file yet, a thousand at a time; waits for the disk.
    pub fn append_all<E: From<SoftError>>(
        &mut self,
        texts: &[&str],
        mut ask: impl FnMut(&[&str]) -> Result<Vec<Vec<f32>>, E>,
    ) -> Result<(), E> {
        for chunk in texts.chunks(1024) {
            let open: Vec<&str> = chunk.iter().copied().filter(|t| !self.contains(t)).collect();
            for (text, logits) in open.iter().zip(ask(&open)?) {
                self.append(text, &logits)?;
            }
        }
        Ok(self.flush()?)
    }

    /// Waits until all rows are on the disk.
    pub fn flush(&mut self) -> Result<(), SoftError> {
        self.file.sync_data().map_err(|e| self.failed(e))
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), SoftError> {
        self.file.write_all(bytes).map_err(|e| self.failed(e))
    }

    fn failed(&self, reason: io::Error) -> SoftError {
        SoftFile::new(&self.path, SoftFault::Write(reason.to_string())).into()
    }
}

//! Soft labels in memory, found by text.

use super::error::{SoftError, SoftFault};
use super::reader::SoftReader;
use super::record::{Header, TeacherInfo};
use crate::data::text_digest;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::path::Path;

/// A soft label file in memory: 4 bytes a logit and about 40 bytes a text.
#[derive(Debug)]
pub struct SoftLabels {
    /// The classes, in the order of the logits.
    pub classes: Vec<String>,
    pub teacher: TeacherInfo,
    pub(super) rows: HashMap<[u8; 32], u32>,
    pub(super) logits: Vec<f32>,
    pub(super) digest: [u8; 32],
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

    pub(super) fn insert(&mut self, digest: [u8; 32], logits: &[f32]) -> Result<(), SoftFault> {
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

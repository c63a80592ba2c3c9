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
//!
//! Logits from anywhere are read too: rows without a header where the classes are stated elsewhere, and safetensors,
//! which hold `logits` (texts x classes). Their classes stand in the metadata (`classes`, a JSON list) or are given;
//! rows are found by `text_sha256` (bytes, texts x 32) or follow the order of a file of texts.

mod error;
mod record;
mod writer;

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::path::Path;

use sha2::{Digest, Sha256};

use self::error::SoftFile;
use self::record::{Header, SoftReader, check_classes, parse_row};
use crate::data::tensors::Table;
use crate::data::text_digest;
use crate::data::vectors::digests_of;
use crate::options::Sources;

pub use error::{SoftError, SoftFault};
pub use record::TeacherInfo;
pub use writer::SoftWriter;

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
    /// Reads the soft labels of a run: a file of `qdllm teach`, or logits from anywhere.
    ///
    /// # Errors
    /// As [`SoftLabels::read`]; also when the classes are stated nowhere, or differently in the file and by
    /// `--soft-classes`, and when rows and texts do not go together.
    pub fn open(path: &Path, sources: &Sources) -> Result<Self, SoftError> {
        let stated = &sources.soft_classes;
        let labels = if path.extension().is_some_and(|e| e == "safetensors") {
            Self::from_tensors(path, sources)?
        } else {
            Self::from_lines(path, stated)?
        };
        if !stated.is_empty() && *stated != labels.classes {
            let fault =
                SoftFault::Classes { found: labels.classes.join(","), stated: stated.join(",") };
            return Err(SoftFile::at(path, 1, fault).into());
        }
        Ok(labels)
    }

    /// Reads a whole file of `qdllm teach`.
    ///
    /// # Errors
    /// When the file cannot be read or is empty, when its header is not one of this format, and at the first row that is
    /// malformed, holds a logit that is not finite, has another number of logits than there are classes, or contradicts
    /// an earlier row of the same text.
    pub fn read(path: &Path) -> Result<Self, SoftError> {
        Self::from_lines(path, &[])
    }

    /// Rows whose header may be missing where the classes are stated elsewhere.
    fn from_lines(path: &Path, stated: &[String]) -> Result<Self, SoftError> {
        let mut reader = SoftReader::open(path)?;
        if !reader.next_line()? {
            return Err(reader.fault(SoftFault::NoHeader));
        }
        let mut labels = match Header::parse(&reader.buffer) {
            Ok(Header { classes, teacher, .. }) => Self::empty(classes, teacher),
            Err(SoftFault::NoHeader) if !stated.is_empty() => {
                check_classes(stated).map_err(|fault| reader.fault(fault))?;
                let mut labels = Self::empty(stated.to_vec(), TeacherInfo::unknown());
                let first = parse_row(&reader.buffer, stated.len());
                let added = first.and_then(|(digest, logits)| labels.insert(digest, &logits));
                added.map_err(|fault| reader.fault(fault))?;
                labels
            }
            Err(fault) => return Err(reader.fault(fault)),
        };
        while let Some((digest, logits)) = reader.row(labels.classes.len())? {
            labels.insert(digest, &logits).map_err(|fault| reader.fault(fault))?;
        }
        labels.digest = reader.finish();
        Ok(labels)
    }

    fn from_tensors(path: &Path, sources: &Sources) -> Result<Self, SoftError> {
        let table = Table::read(path, "logits")?;
        let at =
            |line: usize, fault: SoftFault| SoftError::from(SoftFile::at(path, line as u64, fault));
        let classes: Vec<String> = match table.metadata.get("classes") {
            Some(list) => serde_json::from_str(list).map_err(|e| {
                let problem = format!("is not a JSON list of names ({e})");
                at(1, SoftFault::Header { field: "classes", problem })
            })?,
            None if sources.soft_classes.is_empty() => return Err(at(1, SoftFault::NoClasses)),
            None => sources.soft_classes.clone(),
        };
        let mut teacher = TeacherInfo::unknown();
        if let Some(name) = table.metadata.get("teacher") {
            teacher.name.clone_from(name);
        }
        check_classes(&classes).map_err(|fault| at(1, fault))?;
        if classes.len() != table.width {
            let fault = SoftFault::Count { found: table.width, expected: classes.len() };
            return Err(at(1, fault));
        }
        let digests = match (&table.digests, &sources.soft_texts) {
            (Some(digests), _) => digests.clone(),
            (None, None) => return Err(at(1, SoftFault::NoTexts)),
            (None, Some(texts)) => {
                let all = digests_of(texts, sources.bad_rows)?;
                let (rows, texts) = (table.len(), all.len());
                if rows != texts {
                    return Err(at(rows.min(texts) + 1, SoftFault::Order { rows, texts }));
                }
                all
            }
        };
        let mut labels = Self::empty(classes, teacher);
        let mut hasher = Sha256::new();
        for (i, digest) in digests.iter().enumerate() {
            labels.insert(*digest, table.row(i)).map_err(|fault| at(i + 1, fault))?;
            table.row(i).iter().for_each(|x| hasher.update(x.to_le_bytes()));
            hasher.update(digest);
        }
        labels.digest = hasher.finalize().into();
        Ok(labels)
    }

    fn empty(classes: Vec<String>, teacher: TeacherInfo) -> Self {
        Self { classes, teacher, rows: HashMap::new(), logits: Vec::new(), digest: [0; 32] }
    }

    fn insert(&mut self, digest: [u8; 32], logits: &[f32]) -> Result<(), SoftFault> {
        let next = u32::try_from(self.rows.len()).map_err(|_| SoftFault::TooMany)?;
        match self.rows.entry(digest) {
            Entry::Vacant(slot) => {
                slot.insert(next);
                self.logits.extend_from_slice(logits);
            }
            Entry::Occupied(slot) if at(&self.logits, *slot.get(), logits.len()) == logits => {}
            Entry::Occupied(_) => return Err(SoftFault::Contradiction),
        }
        Ok(())
    }

    /// The logits of a text, one a class; `None` when the teacher has not seen it.
    pub fn get(&self, text: &str) -> Option<&[f32]> {
        let row = *self.rows.get(&text_digest(text))?;
        Some(at(&self.logits, row, self.classes.len()))
    }

    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether the file holds a header and nothing more.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    pub fn digest(&self) -> [u8; 32] {
        self.digest
    }
}

fn at(logits: &[f32], row: u32, classes: usize) -> &[f32] {
    // u32 fits usize on every host that holds the logits at all.
    let start = row as usize * classes;
    &logits[start..start + classes]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(list: &[&str]) -> Vec<String> {
        list.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn logits_from_anywhere_are_found_by_text() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let sources = |classes: &[&str], texts: Option<&str>| Sources {
            soft_classes: names(classes),
            soft_texts: texts.map(path),
            ..Sources::default()
        };
        std::fs::write(path("t.txt"), "one\ntwo\n").unwrap();
        let rows = "{\"text\":\"two\",\"logits\":[3,4]}\n{\"text\":\"one\",\"logits\":[1,2]}\n";
        std::fs::write(path("bare.jsonl"), rows).unwrap();
        let header = "{\"qdllm_soft\":1,\"classes\":[\"a\",\"b\"]}\n";
        std::fs::write(path("headed.jsonl"), format!("{header}{rows}")).unwrap();
        let mut table = Table {
            width: 2,
            values: vec![1.0, 2.0, 3.0, 4.0],
            digests: None,
            metadata: HashMap::new(),
        };
        table.write(&path("order.safetensors"), "logits").unwrap();
        table.digests = Some(vec![text_digest("one"), text_digest("two")]);
        table.metadata.insert("classes".into(), "[\"a\",\"b\"]".into());
        table.write(&path("named.safetensors"), "logits").unwrap();
        for (file, sources) in [
            ("bare.jsonl", sources(&["a", "b"], None)),
            ("headed.jsonl", sources(&[], None)),
            ("headed.jsonl", sources(&["a", "b"], None)),
            ("order.safetensors", sources(&["a", "b"], Some("t.txt"))),
            ("named.safetensors", sources(&[], None)),
        ] {
            let soft = SoftLabels::open(&path(file), &sources).unwrap();
            assert_eq!((soft.len(), soft.classes.as_slice()), (2, names(&["a", "b"]).as_slice()));
            assert_eq!(soft.get("one"), Some(&[1.0, 2.0][..]), "{file}");
            assert_eq!(soft.get("two"), Some(&[3.0, 4.0][..]), "{file}");
        }

        std::fs::write(path("three.txt"), "one\ntwo\nthree\n").unwrap();
        std::fs::write(path("nan.jsonl"), format!("{rows}{{\"text\":\"x\",\"logits\":[1,NaN]}}\n"))
            .unwrap();
        std::fs::write(
            path("both.jsonl"),
            "{\"text\":\"x\",\"text_sha256\":\"0\",\"logits\":[1,2]}\n",
        )
        .unwrap();
        std::fs::write(path("odd.jsonl"), "{\"text\":\"x\",\"logits\":[1,2,3]}\n").unwrap();
        for (file, sources, needles) in [
            ("bare.jsonl", sources(&[], None), ["bare.jsonl:1", "--soft-classes"]),
            ("headed.jsonl", sources(&["b", "a"], None), ["`a,b`", "`b,a`"]),
            ("named.safetensors", sources(&["b", "a"], None), ["`a,b`", "`b,a`"]),
            ("order.safetensors", sources(&[], Some("t.txt")), ["classes", "--soft-classes"]),
            ("order.safetensors", sources(&["a", "b"], None), ["text_sha256", "--soft-texts"]),
            ("order.safetensors", sources(&["a", "b"], Some("three.txt")), ["2 rows", "3 texts"]),
            ("order.safetensors", sources(&["a"], Some("t.txt")), ["classes", "two"]),
            ("order.safetensors", sources(&["a", "b", "c"], Some("t.txt")), ["2 numbers", "3"]),
            ("nan.jsonl", sources(&["a", "b"], None), ["nan.jsonl:3", "place 2"]),
            ("both.jsonl", sources(&["a", "b"], None), ["both.jsonl:1", "text"]),
            ("odd.jsonl", sources(&["a", "b"], None), ["odd.jsonl:1", "3 numbers"]),
        ] {
            let message = SoftLabels::open(&path(file), &sources).unwrap_err().to_string();
            for needle in needles {
                assert!(message.contains(needle), "{file}: `{needle}` is missing in {message}");
            }
        }
    }
}

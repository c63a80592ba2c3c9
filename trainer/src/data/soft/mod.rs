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

mod writer;

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::path::Path;

use anyhow::{Result, anyhow, bail};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::lines::{not_finite, numbers_of, text_digest};
use crate::data::classes::check_names;
use crate::data::tensors::Table;
use crate::data::vectors::digests_of;
use crate::options::Sources;
use qdllm_host::lines::{Lines, open_file};

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
    /// SHA-256 (hexadecimal) of the texts that it refused.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refused: Vec<String>,
}

impl TeacherInfo {
    /// Stands for a teacher of whom the file says nothing.
    fn unknown() -> Self {
        Self {
            name: "precomputed".into(),
            digest: "unknown".into(),
            method: "logits from a file".into(),
            command: String::new(),
            refused: Vec::new(),
        }
    }
}

/// The version of the format that is written and read.
const VERSION: u64 = 1;
const NO_HEADER: &str = "no header: line 1 must be {\"qdllm_soft\":1,\"classes\":[..],\"teacher\":{..}}; make the file with `qdllm teach`, or state the classes by --soft-classes";

#[derive(Debug, Serialize)]
struct Header {
    qdllm_soft: u64,
    classes: Vec<String>,
    teacher: TeacherInfo,
}

impl Header {
    /// `None` where the line is no header at all.
    fn parse(line: &[u8]) -> Result<Option<Self>, String> {
        let object: Map<String, Value> = serde_json::from_slice(line).unwrap_or_default();
        match object.get("qdllm_soft").and_then(Value::as_u64) {
            Some(VERSION) => {}
            Some(version) => {
                return Err(format!(
                    "header field `qdllm_soft` is {version}, this program reads {VERSION}; use the program that wrote it"
                ));
            }
            None => return Ok(None),
        }
        let classes: Vec<String> = header_field(&object, "classes")?;
        check_classes(&classes)?;
        let teacher = match object.get("teacher") {
            None => TeacherInfo::unknown(),
            Some(_) => header_field(&object, "teacher")?,
        };
        Ok(Some(Self { qdllm_soft: VERSION, classes, teacher }))
    }
}

fn header_field<T: DeserializeOwned>(
    object: &Map<String, Value>,
    field: &str,
) -> Result<T, String> {
    let value = object.get(field).ok_or_else(|| wrong_header(field, "is missing"))?;
    T::deserialize(value).map_err(|e| wrong_header(field, &format!("is not what it must be ({e})")))
}

fn wrong_header(field: &str, problem: &str) -> String {
    format!("header field `{field}` {problem}; make the file again with `qdllm teach`")
}

/// Two classes at least, each named, no name twice.
fn check_classes(classes: &[String]) -> Result<(), String> {
    let problem = |problem: String| Err(wrong_header("classes", &problem));
    if classes.len() < 2 {
        return problem(format!("has {} names, two are the least", classes.len()));
    }
    check_names(classes).or_else(|e| problem(format!("cannot be a model's: {e}")))
}

/// A text's digest and its logits.
type Row = ([u8; 32], Vec<f32>);

fn parse_row(line: &[u8], classes: usize) -> Result<Row, String> {
    let row = numbers_of(line, "logits")?;
    check_logits(&row.1, classes)?;
    Ok(row)
}

/// One finite logit a class.
fn check_logits(logits: &[f32], classes: usize) -> Result<(), String> {
    let found = logits.len();
    match logits.iter().position(|x| !x.is_finite()) {
        Some(i) => Err(not_finite("logits", i)),
        None if found != classes => Err(format!(
            "field `logits` has {found} numbers, the header has {classes} classes; write one a class, in that order"
        )),
        None => Ok(()),
    }
}

fn next_row(lines: &mut Lines, classes: usize) -> Result<Option<Row>> {
    let row = lines.next_row()?.then(|| parse_row(&lines.buffer, classes)).transpose();
    // A run that was ended in the middle of a write leaves half a line, without a line end.
    row.map_err(|what| {
        lines.error(if lines.torn {
            "the last line breaks off; run the same `qdllm teach` again, it resumes, or delete the line".into()
        } else {
            what
        })
    })
}

fn lines_of(path: &Path) -> Result<Lines> {
    Ok(Lines::new(path, open_file(path, "soft label file")?.0))
}

/// A soft label file in memory: 4 bytes a logit and about 40 bytes a text.
#[derive(Debug)]
pub struct SoftLabels {
    /// The classes, in the order of the logits.
    pub classes: Vec<String>,
    pub teacher: TeacherInfo,
    rows: HashMap<[u8; 32], u32>,
    logits: Vec<f32>,
    pub digest: [u8; 32],
}

impl SoftLabels {
    /// Reads the soft labels of a run: a file of `qdllm teach`, or logits from anywhere. Refuses classes that are stated
    /// nowhere, or differently in the file and by `--soft-classes`.
    pub fn open(path: &Path, sources: &Sources) -> Result<Self> {
        let stated = &sources.soft_classes;
        let labels = if path.extension().is_some_and(|e| e == "safetensors") {
            Self::from_tensors(path, sources)?
        } else {
            Self::from_lines(path, stated)?
        };
        if !stated.is_empty() && *stated != labels.classes {
            bail!(
                "{}:1: the file has the classes `{}`, --soft-classes says `{}`; logits stand in the file's order",
                path.display(),
                labels.classes.join(","),
                stated.join(",")
            );
        }
        Ok(labels)
    }

    /// Reads a whole file of `qdllm teach`; ends at the first row that is malformed, does not fit the header or
    /// contradicts an earlier one.
    pub fn read(path: &Path) -> Result<Self> {
        Self::from_lines(path, &[])
    }

    /// Rows whose header may be missing where the classes are stated elsewhere.
    fn from_lines(path: &Path, stated: &[String]) -> Result<Self> {
        let mut lines = lines_of(path)?;
        lines.digest = Some(Sha256::new());
        if !lines.next_row()? {
            return Err(lines.error(NO_HEADER));
        }
        let start = || match Header::parse(&lines.buffer)? {
            Some(Header { classes, teacher, .. }) => Ok(Self::empty(classes, teacher)),
            None if stated.is_empty() => Err(NO_HEADER.into()),
            None => {
                check_classes(stated)?;
                let mut labels = Self::empty(stated.to_vec(), TeacherInfo::unknown());
                let (digest, logits) = parse_row(&lines.buffer, stated.len())?;
                labels.insert(digest, &logits)?;
                Ok(labels)
            }
        };
        let mut labels = start().map_err(|what: String| lines.error(what))?;
        while let Some((digest, logits)) = next_row(&mut lines, labels.classes.len())? {
            labels.insert(digest, &logits).map_err(|what| lines.error(what))?;
        }
        labels.digest = lines.digest.unwrap_or_default().finalize().into();
        Ok(labels)
    }

    fn from_tensors(path: &Path, sources: &Sources) -> Result<Self> {
        let table = Table::read(path, "logits")?;
        let at = |line: usize, what: String| anyhow!("{}:{line}: {what}", path.display());
        let classes: Vec<String> = match table.metadata.get("classes") {
            Some(list) => serde_json::from_str(list).map_err(|e| {
                at(1, wrong_header("classes", &format!("is not a JSON list of names ({e})")))
            })?,
            None => sources.soft_classes.clone(),
        };
        if classes.is_empty() {
            return Err(at(1, "the classes are stated nowhere: give --soft-classes in the order of the logits, or write them into the file's metadata (`classes`, a JSON list)".into()));
        }
        let mut teacher = TeacherInfo::unknown();
        if let Some(name) = table.metadata.get("teacher") {
            teacher.name.clone_from(name);
        }
        check_classes(&classes)
            .and_then(|()| check_logits(table.row(0), classes.len()))
            .map_err(|what| at(1, what))?;
        let texts = sources.soft_texts.as_deref();
        let missing = "give the file of texts whose order the rows follow as --soft-texts";
        let digests = digests_of(path, &table, texts, missing, &sources.rows)?;
        let mut labels = Self::empty(classes, teacher);
        let mut hasher = Sha256::new();
        for (i, digest) in digests.iter().enumerate() {
            labels.insert(*digest, table.row(i)).map_err(|what| at(i + 1, what))?;
            table.row(i).iter().for_each(|x| hasher.update(x.to_le_bytes()));
            hasher.update(digest);
        }
        labels.digest = hasher.finalize().into();
        Ok(labels)
    }

    fn empty(classes: Vec<String>, teacher: TeacherInfo) -> Self {
        Self { classes, teacher, rows: HashMap::new(), logits: Vec::new(), digest: [0; 32] }
    }

    fn insert(&mut self, digest: [u8; 32], logits: &[f32]) -> Result<(), String> {
        let next = u32::try_from(self.rows.len())
            .map_err(|_| "more than 2^32 texts; split the file".to_owned())?;
        match self.rows.entry(digest) {
            Entry::Vacant(slot) => {
                slot.insert(next);
                self.logits.extend_from_slice(logits);
            }
            Entry::Occupied(slot) if at(&self.logits, *slot.get(), logits.len()) == logits => {}
            Entry::Occupied(_) => {
                return Err("field `text_sha256` names a text of an earlier line, with other logits; delete one of the two lines".into());
            }
        }
        Ok(())
    }

    /// The logits of a text, one a class; `None` when the teacher has not seen it.
    pub fn get(&self, text: &str) -> Option<&[f32]> {
        let row = *self.rows.get(&text_digest(text))?;
        Some(at(&self.logits, row, self.classes.len()))
    }

    /// The number of different texts.
    pub fn texts(&self) -> usize {
        self.rows.len()
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
            assert_eq!((soft.texts(), soft.classes.as_slice()), (2, names(&["a", "b"]).as_slice()));
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

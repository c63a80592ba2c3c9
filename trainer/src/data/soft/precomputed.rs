//! Logits from anywhere: JSON lines with the texts themselves, with or without a header, and safetensors.
//!
//! A safetensors file holds `logits` (texts x classes). Its classes stand in its metadata (`classes`, a JSON list) or
//! are given; its rows are found by `text_sha256` (bytes, texts x 32) or follow the order of a file of texts.

use std::collections::HashMap;
use std::path::Path;

use sha2::{Digest, Sha256};

use super::error::{SoftError, SoftFault, SoftFile};
use super::labels::SoftLabels;
use super::reader::SoftReader;
use super::record::{Header, TeacherInfo, parse_row};
use crate::data::tensors::Table;
use crate::data::{BadRows, Rows, text_digest};
use crate::options::Sources;

impl TeacherInfo {
    /// Stands for a teacher of whom the file says nothing.
    pub(super) fn unknown() -> Self {
        Self {
            name: "precomputed".into(),
            digest: "unknown".into(),
            method: "logits from a file".into(),
            command: String::new(),
        }
    }
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
            Self::from_tensors(path, stated, sources.soft_texts.as_deref(), sources.bad_rows)?
        } else if stated.is_empty() {
            Self::read(path)?
        } else {
            Self::read_stated(path, stated)?
        };
        if !stated.is_empty() && *stated != labels.classes {
            let fault =
                SoftFault::Classes { found: labels.classes.join(","), stated: stated.join(",") };
            return Err(SoftFile::at(path, 1, fault).into());
        }
        Ok(labels)
    }

    /// Rows whose header may be missing, since the classes are stated elsewhere.
    fn read_stated(path: &Path, classes: &[String]) -> Result<Self, SoftError> {
        let mut reader = SoftReader::open(path)?;
        if !reader.next_line()? {
            return Err(reader.fault(SoftFault::NoHeader));
        }
        match Header::parse(&reader.buffer) {
            Ok(_) => return Self::read(path),
            Err(SoftFault::NoHeader) => {}
            Err(fault) => return Err(reader.fault(fault)),
        }
        let teacher = TeacherInfo::unknown();
        Header::new(classes, &teacher).check().map_err(|fault| reader.fault(fault))?;
        let mut labels = Self::empty(classes.to_vec(), teacher);
        let first = parse_row(&reader.buffer, classes.len()).map_err(|f| reader.fault(f))?;
        labels.insert(first.0, &first.1).map_err(|f| reader.fault(f))?;
        while let Some((digest, logits)) = reader.row(classes.len())? {
            labels.insert(digest, &logits).map_err(|f| reader.fault(f))?;
        }
        labels.digest = reader.finish();
        Ok(labels)
    }

    fn empty(classes: Vec<String>, teacher: TeacherInfo) -> Self {
        Self { classes, teacher, rows: HashMap::new(), logits: Vec::new(), digest: [0; 32] }
    }

    fn from_tensors(
        path: &Path,
        stated: &[String],
        texts: Option<&Path>,
        bad: BadRows,
    ) -> Result<Self, SoftError> {
        let table = Table::read(path, "logits")?;
        let at =
            |line: usize, fault: SoftFault| SoftError::from(SoftFile::at(path, line as u64, fault));
        let named = |name: &str| table.metadata.get(name).cloned();
        let classes: Vec<String> = match named("classes") {
            Some(list) => serde_json::from_str(&list).map_err(|e| {
                let problem = format!("is not a JSON list of names ({e})");
                at(1, SoftFault::Header { field: "classes", problem })
            })?,
            None if stated.is_empty() => return Err(at(1, SoftFault::NoClasses)),
            None => stated.to_vec(),
        };
        let teacher = TeacherInfo {
            name: named("teacher").unwrap_or_else(|| TeacherInfo::unknown().name),
            ..TeacherInfo::unknown()
        };
        Header::new(&classes, &teacher).check().map_err(|fault| at(1, fault))?;
        if classes.len() != table.width {
            let fault = SoftFault::Count { found: table.width, expected: classes.len() };
            return Err(at(1, fault));
        }
        let digests = match (&table.digests, texts) {
            (Some(digests), _) => digests.clone(),
            (None, None) => return Err(at(1, SoftFault::NoTexts)),
            (None, Some(texts)) => {
                let all: Vec<[u8; 32]> = Rows::unlabelled(texts, bad)?
                    .map(|row| Ok(text_digest(&row?.text)))
                    .collect::<Result<_, SoftError>>()?;
                if all.len() != table.len() {
                    return Err(at(
                        table.len().min(all.len()) + 1,
                        SoftFault::Order { rows: table.len(), texts: all.len() },
                    ));
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

//! A soft label file line by line: header and rows as text and as values.

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;

use qdllm_host::hex;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::error::{SoftError, SoftFault, SoftFile};
use crate::data::{Line, json_kind, read_line, text_digest};

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

/// The version of the format that is written and read.
const VERSION: u64 = 1;

pub(super) type SoftRow = ([u8; 32], Vec<f32>);

#[derive(Debug, Clone, Serialize)]
pub(super) struct Header {
    qdllm_soft: u64,
    pub(super) classes: Vec<String>,
    pub(super) teacher: TeacherInfo,
}

impl Header {
    pub(super) fn new(classes: &[String], teacher: &TeacherInfo) -> Self {
        Self { qdllm_soft: VERSION, classes: classes.to_vec(), teacher: teacher.clone() }
    }

    pub(super) fn parse(line: &[u8]) -> Result<Self, SoftFault> {
        let object: Map<String, Value> =
            serde_json::from_slice(line).map_err(|_| SoftFault::NoHeader)?;
        match object.get("qdllm_soft").and_then(Value::as_u64) {
            Some(VERSION) => {}
            Some(version) => return Err(SoftFault::Version(version)),
            None => return Err(SoftFault::NoHeader),
        }
        let header = Self {
            qdllm_soft: VERSION,
            classes: header_field(&object, "classes")?,
            teacher: match object.get("teacher") {
                None => TeacherInfo::unknown(),
                Some(_) => header_field(&object, "teacher")?,
            },
        };
        check_classes(&header.classes)?;
        Ok(header)
    }
}

/// Two classes at least, each named, no name twice.
pub(super) fn check_classes(classes: &[String]) -> Result<(), SoftFault> {
    let problem = |problem| Err(SoftFault::Header { field: "classes", problem });
    if classes.len() < 2 {
        return problem(format!("has {} names, two are the least", classes.len()));
    }
    for (i, class) in classes.iter().enumerate() {
        if class.trim().is_empty() {
            return problem(format!("has an empty name at place {}", i + 1));
        }
        if classes[..i].contains(class) {
            return problem(format!("has `{class}` twice"));
        }
    }
    Ok(())
}

fn header_field<T: serde::de::DeserializeOwned>(
    object: &Map<String, Value>,
    field: &'static str,
) -> Result<T, SoftFault> {
    let wrong = |problem| SoftFault::Header { field, problem };
    let value = object.get(field).ok_or_else(|| wrong("is missing".to_owned()))?;
    T::deserialize(value).map_err(|e| wrong(format!("is not what it must be ({e})")))
}

#[derive(Deserialize)]
struct RowJson<'a> {
    #[serde(borrow, default)]
    text_sha256: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    text: Option<Cow<'a, str>>,
    logits: Vec<f64>,
    /// Must be an object where present; nothing in it is read.
    #[serde(default, rename = "teacher")]
    _teacher: Map<String, Value>,
}

/// A row's digest and its logits, checked.
pub(super) fn parse_row(line: &[u8], classes: usize) -> Result<SoftRow, SoftFault> {
    let line = std::str::from_utf8(line).map_err(|e| SoftFault::Utf8(e.valid_up_to() + 1))?;
    let row: RowJson<'_> = serde_json::from_str(line).map_err(|e| explain(line, &e.to_string()))?;
    let digest = match (&row.text_sha256, &row.text) {
        (Some(hex), None) => hex::decode(hex).ok_or(SoftFault::Hex)?,
        (None, Some(text)) => text_digest(text),
        (None, None) => return Err(SoftFault::Missing { field: "text_sha256" }),
        (Some(_), Some(_)) => return Err(SoftFault::BothTexts),
    };
    // A number beyond f32's range becomes infinite and is refused as such.
    let logits: Vec<f32> = row.logits.iter().map(|&x| x as f32).collect();
    check_logits(&logits, classes)?;
    Ok((digest, logits))
}

pub(super) fn check_logits(logits: &[f32], classes: usize) -> Result<(), SoftFault> {
    if let Some(i) = logits.iter().position(|x| !x.is_finite()) {
        return Err(SoftFault::NotFinite(i + 1));
    }
    if logits.len() != classes {
        return Err(SoftFault::Count { found: logits.len(), expected: classes });
    }
    Ok(())
}

/// Finds the field to blame for a row that did not parse: the slow way, for the one bad line.
fn explain(line: &str, error: &str) -> SoftFault {
    let kind =
        |field, value, expected| SoftFault::Kind { field, found: json_kind(value), expected };
    let other = || SoftFault::Json(error.to_owned());
    let object = match serde_json::from_str::<Value>(line) {
        Ok(Value::Object(object)) => object,
        Ok(value) => return kind("line", &value, "an object"),
        // JSON has no NaN, but Python's json module writes one all the same.
        Err(_) => {
            let logits = line.split_once("\"logits\"").map_or("", |(_, rest)| rest);
            let not_finite = |item: &str| item.contains("NaN") || item.contains("Infinity");
            let place = logits.split(',').position(not_finite);
            return place.map_or_else(other, |i| SoftFault::NotFinite(i + 1));
        }
    };
    match (object.get("text_sha256"), object.get("text"), object.get("logits")) {
        (None, None, _) => SoftFault::Missing { field: "text_sha256" },
        (_, _, None) => SoftFault::Missing { field: "logits" },
        (None, Some(text), _) if !text.is_string() => kind("text", text, "a string"),
        (Some(digest), ..) if !digest.is_string() => kind("text_sha256", digest, "a string"),
        (_, _, Some(Value::Array(logits))) => {
            let teacher = object.get("teacher").filter(|value| !value.is_object());
            if let Some(i) = logits.iter().position(Value::is_null) {
                SoftFault::NotFinite(i + 1)
            } else if let Some(value) = logits.iter().find(|x| !x.is_number()) {
                kind("logits", value, "numbers only")
            } else {
                teacher.map_or_else(other, |value| kind("teacher", value, "an object"))
            }
        }
        (_, _, Some(value)) => kind("logits", value, "an array of numbers"),
    }
}

/// A row as it is written, with its line end.
pub(super) fn format_row(digest: &[u8; 32], logits: &[f32]) -> String {
    let logits: Vec<String> = logits.iter().map(|&x| decimal(x)).collect();
    let (hex, logits) = (hex::encode(digest), logits.join(","));
    format!("{{\"text_sha256\":\"{hex}\",\"logits\":[{logits}]}}\n")
}

/// A finite number rounded to four decimals, without trailing zeros.
fn decimal(x: f32) -> String {
    let rounded = (f64::from(x) * 1e4).round() / 1e4;
    // Adding zero turns -0 into 0.
    format!("{}", rounded + 0.0)
}

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
        let header = self.next_line()?.then(|| Header::parse(&self.buffer));
        header.transpose().map_err(|fault| self.fault(fault))
    }

    pub(super) fn row(&mut self, classes: usize) -> Result<Option<SoftRow>, SoftError> {
        let row = self.next_line()?.then(|| parse_row(&self.buffer, classes)).transpose();
        // A run that was ended in the middle of a write leaves half a line, without a line end.
        row.map_err(|fault| self.fault(if self.torn { SoftFault::Torn } else { fault }))
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

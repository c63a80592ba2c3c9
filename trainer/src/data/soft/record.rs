//! One line of a soft label file as text and as values: header, row, digits.

use std::borrow::Cow;

use qdllm_host::hex;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::error::SoftFault;
use crate::data::{json_kind, text_digest};

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
        match object.get("qdllm_soft").map(Value::as_u64) {
            Some(Some(VERSION)) => {}
            Some(Some(version)) => return Err(SoftFault::Version(version)),
            Some(None) | None => return Err(SoftFault::NoHeader),
        }
        let header = Self {
            qdllm_soft: VERSION,
            classes: header_field(&object, "classes")?,
            teacher: match object.get("teacher") {
                None => TeacherInfo::unknown(),
                Some(_) => header_field(&object, "teacher")?,
            },
        };
        header.check()?;
        Ok(header)
    }

    /// Two classes at least, each named, no name twice.
    pub(super) fn check(&self) -> Result<(), SoftFault> {
        let problem = |problem| Err(SoftFault::Header { field: "classes", problem });
        if self.classes.len() < 2 {
            let count = self.classes.len();
            return problem(format!("has {count} names, two are the least"));
        }
        for (i, class) in self.classes.iter().enumerate() {
            if class.trim().is_empty() {
                return problem(format!("has an empty name at place {}", i + 1));
            }
            if self.classes[..i].contains(class) {
                return problem(format!("has `{class}` twice"));
            }
        }
        Ok(())
    }
}

fn header_field<T: serde::de::DeserializeOwned>(
    object: &Map<String, Value>,
    field: &'static str,
) -> Result<T, SoftFault> {
    let value = object
        .get(field)
        .ok_or_else(|| SoftFault::Header { field, problem: "is missing".to_owned() })?;
    T::deserialize(value)
        .map_err(|e| SoftFault::Header { field, problem: format!("is not what it must be ({e})") })
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
        (Some(digits), None) => hex::decode(digits).ok_or(SoftFault::Hex)?,
        (None, Some(text)) => text_digest(text),
        (None, None) => return Err(SoftFault::Missing { field: "text_sha256" }),
        (Some(_), Some(_)) => return Err(SoftFault::BothTexts),
    };
    // A number beyond f32's range becomes infinite and is refused as such.
    #[allow(clippy::cast_possible_truncation)]
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
    let object = match serde_json::from_str::<Value>(line) {
        Ok(Value::Object(object)) => object,
        Ok(other) => {
            return SoftFault::Kind {
                field: "line",
                found: json_kind(&other),
                expected: "an object",
            };
        }
        // JSON has no NaN, but Python's json module writes one all the same.
        Err(_) => {
            let logits = line.split_once("\"logits\"").map_or("", |(_, rest)| rest);
            let not_finite = |item: &str| item.contains("NaN") || item.contains("Infinity");
            return match logits.split(',').position(not_finite) {
                Some(i) => SoftFault::NotFinite(i + 1),
                None => SoftFault::Json(error.to_owned()),
            };
        }
    };
    let kind =
        |field, value, expected| SoftFault::Kind { field, found: json_kind(value), expected };
    match (object.get("text_sha256"), object.get("logits")) {
        (None, _) if !object.contains_key("text") => SoftFault::Missing { field: "text_sha256" },
        (_, None) => SoftFault::Missing { field: "logits" },
        (None, _) if !object["text"].is_string() => kind("text", &object["text"], "a string"),
        (Some(digest), _) if !digest.is_string() => kind("text_sha256", digest, "a string"),
        (_, Some(Value::Array(logits))) => {
            if let Some(i) = logits.iter().position(Value::is_null) {
                SoftFault::NotFinite(i + 1)
            } else if let Some(other) = logits.iter().find(|x| !x.is_number()) {
                kind("logits", other, "numbers only")
            } else {
                match object.get("teacher") {
                    Some(other) if !other.is_object() => kind("teacher", other, "an object"),
                    _ => SoftFault::Json(error.to_owned()),
                }
            }
        }
        (_, Some(other)) => kind("logits", other, "an array of numbers"),
    }
}

/// A row as it is written, with its line end.
pub(super) fn format_row(digest: &[u8; 32], logits: &[f32]) -> String {
    let hex = hex::encode(digest);
    let logits: Vec<String> = logits.iter().map(|&x| decimal(x)).collect();
    format!("{{\"text_sha256\":\"{hex}\",\"logits\":[{}]}}\n", logits.join(","))
}

/// A finite number rounded to four decimals, without trailing zeros.
fn decimal(x: f32) -> String {
    let rounded = (f64::from(x) * 1e4).round() / 1e4;
    // Adding zero turns -0 into 0.
    format!("{}", rounded + 0.0)
}

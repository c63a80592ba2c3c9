//! Texts' digests, and lines of JSON that hold a text and numbers.

use qdllm_host::hex;
use qdllm_host::lines::{utf8, wrong_kind};
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

/// SHA-256 of the text's bytes exactly as read: the identity of a text in caches and soft labels.
pub fn text_digest(text: &str) -> [u8; 32] {
    Sha256::digest(text.as_bytes()).into()
}

/// What is said of a number, counted from 0, that is not finite.
pub(crate) fn not_finite(field: &str, i: usize) -> String {
    let place = i + 1;
    format!(
        "field `{field}` holds a number that is not finite at place {place}; make the row again or delete the line"
    )
}

/// A text's digest and its numbers: a line of `text` (or `text_sha256`) and an array of numbers, `field`.
pub(crate) fn numbers_of(line: &[u8], field: &str) -> Result<([u8; 32], Vec<f32>), String> {
    let line = utf8("line", line)?;
    let mut object: Map<String, Value> = match serde_json::from_str(line) {
        Ok(Value::Object(object)) => object,
        Ok(value) => return Err(wrong_kind("line", &value, "an object")),
        Err(error) => {
            // JSON has no NaN, but Python's json module writes one all the same.
            let numbers = line.split_once(&format!("\"{field}\"")).map_or("", |(_, rest)| rest);
            let bad = |item: &str| item.contains("NaN") || item.contains("Infinity");
            return Err(match numbers.split(',').position(bad) {
                Some(i) => not_finite(field, i),
                None => format!(
                    "not valid JSON: {error}; each line is {{\"text\": .., \"{field}\": [..]}}; make the row again or delete the line"
                ),
            });
        }
    };
    let mut take = |name: &str| object.remove(name).unwrap_or(Value::Null);
    let digest = match (take("text_sha256"), take("text")) {
        (Value::String(digest), Value::Null) => hex::decode(&digest).ok_or(
            "field `text_sha256` is not 64 hex digits; write the SHA-256 of the text's UTF-8 bytes",
        )?,
        (Value::Null, Value::String(text)) => text_digest(&text),
        (Value::Null, Value::Null) => {
            return Err(
                "field `text` or `text_sha256` is missing; add it or delete the line".into()
            );
        }
        (Value::Null, text) => return Err(wrong_kind("text", &text, "a string")),
        (digest, Value::Null) => return Err(wrong_kind("text_sha256", &digest, "a string")),
        _ => return Err("has both `text` and `text_sha256`; write one of them".into()),
    };
    let numbers = match take(field) {
        Value::Array(numbers) => numbers,
        value => return Err(wrong_kind(field, &value, "an array of numbers")),
    };
    match take("teacher") {
        Value::Null | Value::Object(_) => {}
        teacher => return Err(wrong_kind("teacher", &teacher, "an object")),
    }
    // A number beyond f32's range becomes infinite and is refused as such.
    let number = |(i, value): (usize, &Value)| match value.as_f64().map(|x| x as f32) {
        Some(x) if x.is_finite() => Ok(x),
        None if !value.is_null() => Err(wrong_kind(field, value, "numbers only")),
        _ => Err(not_finite(field, i)),
    };
    let numbers = numbers.iter().enumerate().map(number).collect::<Result<_, _>>()?;
    Ok((digest, numbers))
}

//! Label and text of one line or record, checked.

use super::error::Fault;
use super::lines::json_kind;
use serde::Deserialize;
use serde_json::Value;

/// What a line of a line-by-line file holds.
#[derive(Debug, Clone, Copy)]
pub(super) enum LineFormat {
    Tsv,
    Json,
    Text,
}

/// A label and a text cut from the file, or what is wrong with them.
pub(super) type Cut = Result<(Option<String>, String), Fault>;

pub(super) fn cut_line(format: LineFormat, bytes: &[u8], labelled: bool) -> Cut {
    match format {
        LineFormat::Text => Ok((None, checked_text(utf8("text", bytes)?)?)),
        LineFormat::Tsv => {
            let tab = bytes.iter().position(|&b| b == b'\t').ok_or(Fault::NoTab)?;
            let label =
                if labelled { Some(checked_label(utf8("label", &bytes[..tab])?)?) } else { None };
            Ok((label, checked_text(utf8("text", &bytes[tab + 1..])?)?))
        }
        LineFormat::Json => cut_json(utf8("line", bytes)?, labelled),
    }
}

/// Cuts a JSON object; fields other than `text` and `label` are the caller's own and ignored.
fn cut_json(line: &str, labelled: bool) -> Cut {
    #[derive(Deserialize)]
    struct Object {
        #[serde(default)]
        text: Value,
        #[serde(default)]
        label: Value,
    }
    if !line.trim_start().starts_with('{') {
        return Err(Fault::NotObject);
    }
    let object: Object = serde_json::from_str(line).map_err(|e| Fault::Json(e.to_string()))?;
    let text = match object.text {
        Value::String(text) => checked_text(&text)?,
        Value::Null => return Err(Fault::Missing { field: "text" }),
        other => {
            return Err(Fault::Kind {
                field: "text",
                found: json_kind(&other),
                expected: "a string",
            });
        }
    };
    let label = match object.label {
        _ if !labelled => None,
        Value::String(label) => Some(checked_label(&label)?),
        Value::Number(n) if n.is_i64() || n.is_u64() => Some(n.to_string()),
        Value::Null => return Err(Fault::Missing { field: "label" }),
        other => {
            return Err(Fault::Kind {
                field: "label",
                found: json_kind(&other),
                expected: "a string or an integer",
            });
        }
    };
    Ok((label, text))
}

/// Bytes as text, or the fault that names the field and the first bad byte, counted from 1.
pub(super) fn utf8<'a>(field: &'static str, bytes: &'a [u8]) -> Result<&'a str, Fault> {
    std::str::from_utf8(bytes).map_err(|e| Fault::Utf8 { field, byte: e.valid_up_to() + 1 })
}

pub(super) fn checked_label(label: &str) -> Result<String, Fault> {
    match label.trim() {
        "" => Err(Fault::Blank { field: "label" }),
        label => Ok(label.to_owned()),
    }
}

pub(super) fn checked_text(text: &str) -> Result<String, Fault> {
    if text.trim().is_empty() { Err(Fault::Blank { field: "text" }) } else { Ok(text.to_owned()) }
}

//! A request as both protocols read it, and the answers that they give.

use hyper::body::Bytes;
use serde_json::{Value, json};
use std::collections::BTreeMap;

pub(super) struct Request {
    pub(super) post: bool,
    pub(super) path: Vec<String>,
    pub(super) query: BTreeMap<String, String>,
    /// The token, from whichever header the platform uses; empty without one.
    pub(super) token: String,
    pub(super) body: Bytes,
}

impl Request {
    pub(super) fn parts(&self) -> Vec<&str> {
        self.path.iter().map(String::as_str).collect()
    }

    pub(super) fn get(&self, key: &str) -> &str {
        self.query.get(key).map_or("", String::as_str)
    }

    pub(super) fn number(&self, key: &str, otherwise: usize) -> usize {
        self.get(key).parse().unwrap_or(otherwise)
    }
}

/// Status and body of an answer.
pub(super) type Reply = (u16, Value);

pub(super) fn ok(body: impl Into<Value>) -> Reply {
    (200, body.into())
}

/// Another status, with a text in the field where the portal has it.
pub(super) fn refused(status: u16, code: &str, text: &str) -> Reply {
    (status, json!({"error": text, "code": code, "error_category": null, "vars": {}}))
}

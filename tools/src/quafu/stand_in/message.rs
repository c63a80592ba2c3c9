//! A request and its answer, apart from how they travel.

use serde_json::{Value, json};
use std::collections::BTreeMap;

pub struct Request {
    pub post: bool,
    pub path: Vec<String>,
    pub query: BTreeMap<String, String>,
    /// The token, from whichever header the platform uses; empty without one.
    pub token: String,
    pub body: Vec<u8>,
}

impl Request {
    pub fn parts(&self) -> Vec<&str> {
        self.path.iter().map(String::as_str).collect()
    }

    pub fn get(&self, key: &str) -> &str {
        self.query.get(key).map_or("", String::as_str)
    }
}

pub struct Reply {
    pub status: u16,
    pub body: Value,
}

impl Reply {
    pub fn ok(body: impl Into<Value>) -> Self {
        Self { status: 200, body: body.into() }
    }

    /// Another status, with a text in the field where the portal has it.
    pub fn error(status: u16, code: &str, text: &str) -> Self {
        Self {
            status,
            body: json!({"error": text, "code": code, "error_category": null, "vars": {}}),
        }
    }
}

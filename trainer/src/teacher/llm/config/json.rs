//! Typed look-ups in a JSON object that name file and key when something is wrong.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use crate::teacher::{Result, TeacherError};

/// A JSON object of a file. A key whose value is `null` counts as absent.
#[derive(Debug, Clone)]
pub struct JsonObject {
    path: PathBuf,
    map: Map<String, Value>,
}

impl JsonObject {
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(TeacherError::io(path))?;
        Self::parse(path, &text)
    }

    pub fn parse(path: &Path, text: &str) -> Result<Self> {
        let map = serde_json::from_str(text).map_err(|e| {
            TeacherError::model(path, format!("is no JSON object ({e}); fetch it again"))
        })?;
        Ok(Self { path: path.to_owned(), map })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn refuse(&self, what: &str) -> TeacherError {
        TeacherError::model(&self.path, what)
    }

    fn get(&self, key: &str) -> Option<&Value> {
        self.map.get(key).filter(|value| !value.is_null())
    }

    fn typed<'a, T>(
        &'a self,
        key: &str,
        kind: &str,
        read: impl FnOnce(&'a Value) -> Option<T>,
    ) -> Result<Option<T>> {
        let Some(value) = self.get(key) else {
            return Ok(None);
        };
        read(value).map(Some).ok_or_else(|| self.refuse(&format!("`{key}` must be {kind}")))
    }

    fn need<T>(&self, key: &str, found: Option<T>) -> Result<T> {
        found.ok_or_else(|| self.refuse(&format!("`{key}` is missing; fetch the file again")))
    }

    pub fn is_empty(&self) -> bool {
        self.map.is_empty()
    }

    pub fn has(&self, key: &str) -> bool {
        self.get(key).is_some()
    }

    pub fn count(&self, key: &str) -> Result<usize> {
        let count = self.typed(key, "a whole number", |v| v.as_u64().map(|n| n as usize))?;
        self.need(key, count)
    }

    pub fn count_or(&self, key: &str, default: usize) -> Result<usize> {
        if self.has(key) { self.count(key) } else { Ok(default) }
    }

    pub fn real(&self, key: &str) -> Result<f64> {
        let real = self.typed(key, "a number", Value::as_f64)?;
        self.need(key, real)
    }

    pub fn real_or(&self, key: &str, default: f64) -> Result<f64> {
        if self.has(key) { self.real(key) } else { Ok(default) }
    }

    pub fn flag_or(&self, key: &str, default: bool) -> Result<bool> {
        Ok(self.typed(key, "true or false", Value::as_bool)?.unwrap_or(default))
    }

    pub fn text(&self, key: &str) -> Result<Option<&str>> {
        self.typed(key, "a text", Value::as_str)
    }

    pub fn list(&self, key: &str) -> Result<Option<Vec<&str>>> {
        self.typed(key, "a list of texts", |v| v.as_array()?.iter().map(Value::as_str).collect())
    }

    pub fn child(&self, key: &str) -> Result<Option<Self>> {
        let map = self.typed(key, "an object", |v| v.as_object().cloned())?;
        Ok(map.map(|map| Self { path: self.path.clone(), map }))
    }

    /// The object's keys and those of its values that are texts.
    pub fn texts(&self) -> impl Iterator<Item = (&str, &str)> {
        self.map.iter().filter_map(|(key, value)| Some((key.as_str(), value.as_str()?)))
    }
}

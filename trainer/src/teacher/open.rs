//! Recognises what a path holds and opens it as an extractor.

use std::path::{Path, PathBuf};

use super::causal::Causal;
use super::minilm::SentenceEncoder;
use super::{Extractor, TeacherError};

/// How models are to read texts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    /// Prompt of causal models, with `{text}` in it.
    pub prompt: String,
    /// Most tokens a text may take, prompt included.
    pub limit: usize,
    /// Layers to try, or none for six spread over the depth.
    pub layers: Vec<usize>,
}

/// Opens a GGUF file, a folder with one, or a sentence-transformers folder.
///
/// # Errors
/// When the path is none of these or the model cannot be loaded.
pub fn extractor(path: &Path, reading: &Reading) -> Result<Box<dyn Extractor>, TeacherError> {
    if let Some(file) = gguf_file(path)? {
        return Ok(Box::new(Causal::load(&file, &reading.prompt, reading.limit, &reading.layers)?));
    }
    if path.join("config.json").is_file() {
        return Ok(Box::new(SentenceEncoder::load(path, reading.limit)?));
    }
    Err(TeacherError::model(
        path,
        "holds no model; give a .gguf file, or a folder with config.json, tokenizer.json and model.safetensors",
    ))
}

/// Opens a GGUF file, or a folder with one, as a causal model.
///
/// # Errors
/// When there is none or it cannot be loaded.
pub fn causal(path: &Path, reading: &Reading) -> Result<Causal, TeacherError> {
    match gguf_file(path)? {
        Some(file) => Causal::load(&file, &reading.prompt, reading.limit, &reading.layers),
        None => Err(TeacherError::model(
            path,
            "is no causal model; zero-shot needs a .gguf file or a folder with one",
        )),
    }
}

fn gguf_file(path: &Path) -> Result<Option<PathBuf>, TeacherError> {
    let is_gguf = |p: &Path| p.extension().is_some_and(|e| e.eq_ignore_ascii_case("gguf"));
    if !path.is_dir() {
        if !path.exists() {
            return Err(TeacherError::model(
                path,
                "does not exist; `qdllm teach --help` says where models come from",
            ));
        }
        return Ok(is_gguf(path).then(|| path.to_owned()));
    }
    let mut found = Vec::new();
    for entry in std::fs::read_dir(path).map_err(TeacherError::io(path))? {
        let entry = entry.map_err(TeacherError::io(path))?.path();
        if is_gguf(&entry) {
            found.push(entry);
        }
    }
    if found.len() > 1 {
        return Err(TeacherError::model(
            path,
            format!("holds {} GGUF files; name the one to use", found.len()),
        ));
    }
    Ok(found.pop())
}

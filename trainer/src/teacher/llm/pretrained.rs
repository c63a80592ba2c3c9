//! A model on disk, recognised: a GGUF file, or a folder with `config.json`, `tokenizer.json` and safetensors.

use std::path::{Path, PathBuf};

use candle_core::Device;

use super::config::Kind;
use super::config::json::JsonObject;
use super::lora::adapter::Adapter;
use super::lora::peft;
use super::parameters::Parameters;
use super::tokenizer::TextTokenizer;
use super::weights::Tensors;
use super::weights::gguf::Gguf;
use super::weights::safetensors::Safetensors;
use crate::teacher::{TeacherError, digest};

/// A model whose description has been read and whose weights have not.
pub struct Pretrained {
    pub path: PathBuf,
    pub name: String,
    pub kind: Kind,
    pub tokenizer: TextTokenizer,
    /// SHA-256 of the weights, adapter included, hexadecimal.
    pub digest: String,
    /// Names of a classification head's outputs, in order; empty when none are given.
    pub labels: Vec<String>,
    tensors: Box<dyn Tensors>,
    adapter: Option<Adapter>,
}

impl Pretrained {
    /// Opens a GGUF file, a folder with one, or a folder of safetensors; `adapter` is a PEFT folder to merge.
    pub fn open(path: &Path, adapter: Option<&Path>) -> Result<Self, TeacherError> {
        let mut found = match gguf_file(path)? {
            Some(file) => Self::gguf(&file)?,
            None if path.join("config.json").is_file() => Self::folder(path)?,
            None => {
                return Err(TeacherError::model(
                    path,
                    "holds no model; give a .gguf file, or a folder with config.json, tokenizer.json and model.safetensors",
                ));
            }
        };
        if let Some(folder) = adapter {
            let adapter = Adapter::open(folder)?;
            found.digest =
                digest::bytes(format!("{}+{}", found.digest, adapter.digest()).as_bytes());
            found.name = format!("{} + {}", found.name, short(folder));
            found.adapter = Some(adapter);
            if let Some(about) = peft::about(folder)? {
                found.labels = about.classes;
            }
        }
        Ok(found)
    }

    fn gguf(path: &Path) -> Result<Self, TeacherError> {
        let mut gguf = Gguf::open(path)?;
        let kind = Kind::Decoder(gguf.spec()?);
        // The file's name rather than `general.name`: converters leave training-run titles in that key.
        let name = path.file_stem().map_or_else(String::new, |s| s.to_string_lossy().into_owned());
        Ok(Self {
            path: path.to_owned(),
            name,
            kind,
            tokenizer: TextTokenizer::plain(gguf.tokenizer()?, gguf.opening()),
            digest: digest::file(path)?,
            labels: Vec::new(),
            tensors: Box::new(gguf),
            adapter: None,
        })
    }

    fn folder(path: &Path) -> Result<Self, TeacherError> {
        let keys = JsonObject::read(&path.join("config.json"))?;
        let shards = Safetensors::open(path, "model")?;
        let mut labels: Vec<(usize, String)> = match keys.child("id2label")? {
            Some(map) => map
                .texts()
                .filter_map(|(id, name)| Some((id.parse().ok()?, name.to_owned())))
                .collect(),
            None => Vec::new(),
        };
        labels.sort();
        Ok(Self {
            path: path.to_owned(),
            name: short(path),
            kind: Kind::read(&keys)?,
            tokenizer: TextTokenizer::folder(path)?,
            digest: shards.digest()?,
            labels: labels.into_iter().map(|(_, name)| name).collect(),
            tensors: Box::new(shards),
            adapter: None,
        })
    }

    /// The weights by name, the adapter merged: can be had once.
    pub fn parameters(&mut self, device: &Device) -> Parameters<'_> {
        Parameters::new(self.tensors.as_mut(), self.kind.inner(), self.adapter.take(), device)
    }
}

fn short(path: &Path) -> String {
    path.file_name().map_or_else(String::new, |n| n.to_string_lossy().into_owned())
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

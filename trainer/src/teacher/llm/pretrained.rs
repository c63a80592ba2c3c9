//! A model on disk, recognised: a GGUF file, or a folder with `config.json`, `tokenizer.json` and safetensors.

use std::path::{Path, PathBuf};

use candle_core::Device;

use crate::teacher::llm::config::architecture::{Family, Spec};
use crate::teacher::llm::config::json::JsonObject;
use crate::teacher::llm::config::{SUPPORTED, spec};
use crate::teacher::llm::encoder::EncoderSpec;
use crate::teacher::llm::lora::adapter::Adapter;
use crate::teacher::llm::lora::peft;
use crate::teacher::llm::parameters::Parameters;
use crate::teacher::llm::tokenizer::TextTokenizer;
use crate::teacher::llm::weights::gguf::Gguf;
use crate::teacher::llm::weights::safetensors::{Safetensors, Tensors};
use crate::teacher::{TeacherError, digest};

#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    Decoder(Spec),
    Encoder(EncoderSpec),
}

/// A model whose description has been read and whose weights have not.
pub struct Pretrained {
    pub path: PathBuf,
    pub name: String,
    pub kind: Kind,
    pub reader: TextTokenizer,
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
            reader: TextTokenizer::plain(gguf.tokenizer()?, gguf.opening()),
            digest: digest::file(path)?,
            labels: Vec::new(),
            tensors: Box::new(gguf),
            adapter: None,
        })
    }

    fn folder(path: &Path) -> Result<Self, TeacherError> {
        let keys = JsonObject::read(&path.join("config.json"))?;
        let model_type = keys.text("model_type")?.unwrap_or_default();
        let kind = match (Family::of(model_type), model_type) {
            (Some(family), _) => Kind::Decoder(spec(family, &keys)?),
            (None, "bert" | "distilbert") => {
                Kind::Encoder(EncoderSpec::read(&keys, model_type == "distilbert")?)
            }
            _ => {
                let what =
                    format!("model type `{model_type}` is not supported; these are: {SUPPORTED}");
                return Err(keys.refuse(&what));
            }
        };
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
            kind,
            reader: TextTokenizer::folder(path)?,
            digest: shards.digest()?,
            labels: labels.into_iter().map(|(_, name)| name).collect(),
            tensors: Box::new(shards),
            adapter: None,
        })
    }

    /// Most tokens the model was made for.
    pub fn context(&self) -> usize {
        match &self.kind {
            Kind::Decoder(spec) => spec.context,
            Kind::Encoder(spec) => spec.context,
        }
    }

    /// What loads the weights; merges the adapter, so it can be had once.
    pub fn loader(&mut self, device: &Device) -> Parameters<'_> {
        let inner = match &self.kind {
            Kind::Decoder(spec) => spec.family.inner(),
            Kind::Encoder(spec) => spec.inner(),
        };
        Parameters::new(self.tensors.as_mut(), inner, self.adapter.take(), device)
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

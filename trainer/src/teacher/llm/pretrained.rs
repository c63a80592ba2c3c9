//! A model on disk, recognised: a GGUF file, or a folder with `config.json`, `tokenizer.json` and safetensors.

use crate::teacher::llm::config::architecture::Spec;
use crate::teacher::llm::config::{self, JsonObject};
use crate::teacher::llm::layers::{Parameters, Trainable};
use crate::teacher::llm::lora::adapter::{self, Adapter};
use crate::teacher::llm::token_batch::{Row, in_batches};
use crate::teacher::llm::tokenizer::TextTokenizer;
use crate::teacher::llm::transformer::Transformer;
use crate::teacher::llm::weights::gguf::Gguf;
use crate::teacher::llm::weights::{Safetensors, Tensors, file_digest, joint_digest};
use crate::teacher::{Description, Extractor, Pooled, Pooling};
use anyhow::{Result, bail};
use candle_core::{Device, Tensor};
use qdllm_host::errors::OfFile as _;
use std::fs::DirEntry;
use std::io;
use std::path::{Path, PathBuf};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    /// Prompt of causal models, with `{text}` in it.
    pub prompt: String,
    pub limit: usize,
    /// Layers to try, or none for six spread over the depth.
    pub layers: Vec<usize>,
    pub adapter: Option<PathBuf>,
}

/// A model whose description has been read and whose weights have not.
pub struct Pretrained {
    pub path: PathBuf,
    pub name: String,
    pub spec: Spec,
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
    pub fn open(path: &Path, adapter: Option<&Path>) -> Result<Self> {
        let mut found = match gguf_file(path)? {
            Some(file) => Self::gguf(&file)?,
            None if path.join("config.json").is_file() => Self::folder(path)?,
            None => bail!(
                "{}: holds no model; give a .gguf file, or a folder with config.json, tokenizer.json and model.safetensors",
                path.display()
            ),
        };
        if let Some(folder) = adapter {
            let adapter = Adapter::open(folder)?;
            found.digest = joint_digest(&format!("{}+{}", found.digest, adapter.digest));
            found.name = format!("{} + {}", found.name, short(folder));
            found.adapter = Some(adapter);
            if let Some(about) = adapter::about(folder)? {
                found.labels = about.classes;
            }
        }
        Ok(found)
    }

    fn gguf(path: &Path) -> Result<Self> {
        let mut gguf = Gguf::open(path)?;
        // The file's name rather than `general.name`: converters leave training-run titles in that key.
        let name = path.file_stem().map_or_else(String::new, |s| s.to_string_lossy().into_owned());
        Ok(Self {
            path: path.to_owned(),
            name,
            spec: gguf.spec()?,
            tokenizer: gguf.tokenizer()?,
            digest: file_digest(path)?,
            labels: Vec::new(),
            tensors: Box::new(gguf),
            adapter: None,
        })
    }

    fn folder(path: &Path) -> Result<Self> {
        let keys = JsonObject::read(&path.join("config.json"))?;
        let shards = Safetensors::open(path, "model")?;
        let named: serde_json::Map<String, serde_json::Value> =
            keys.get("id2label")?.unwrap_or_default();
        let label = |(id, name): (&String, &serde_json::Value)| {
            Some((id.parse().ok()?, name.as_str()?.to_owned()))
        };
        let mut labels: Vec<(usize, String)> = named.iter().filter_map(label).collect();
        labels.sort();
        Ok(Self {
            path: path.to_owned(),
            name: short(path),
            spec: config::read(&keys)?,
            tokenizer: TextTokenizer::folder(path)?,
            digest: shards.digest()?,
            labels: labels.into_iter().map(|(_, name)| name).collect(),
            tensors: Box::new(shards),
            adapter: None,
        })
    }

    /// The weights by name, the adapter merged: can be had once.
    pub fn parameters(&mut self, device: &Device) -> Parameters<'_> {
        Parameters {
            tensors: self.tensors.as_mut(),
            spec: self.spec.clone(),
            adapter: self.adapter.take(),
            trainable: None,
            device: device.clone(),
        }
    }

    /// What `part` makes of the weights, and what of it is to be trained; the tokenizer must fit the model.
    pub fn load<Model>(
        &mut self,
        device: &Device,
        part: impl FnOnce(&mut Parameters<'_>) -> Result<Model>,
    ) -> Result<(Model, Option<Trainable>)> {
        let mut parameters = self.parameters(device);
        let model = part(&mut parameters)?;
        let trainable = parameters.finish()?;
        self.tokenizer.check_vocabulary(&self.path, self.spec.vocabulary)?;
        Ok((model, trainable))
    }
}

/// One vector a row of ids.
type RunRows = Box<dyn Fn(&[&[u32]]) -> Result<Vec<Vec<f32>>>>;

/// A model that gives whole texts one vector each.
pub struct TextVectors {
    tokenizer: TextTokenizer,
    about: Description,
    budget: usize,
    run: RunRows,
    /// The numbers' names; empty when the checkpoint gives none.
    pub labels: Vec<String>,
}

impl TextVectors {
    /// Of a model that was loaded from `of`; `run` gives one vector of `width` numbers a row of ids.
    pub fn new(
        of: Pretrained,
        settings: String,
        (layer, pooling, width): (usize, Pooling, usize),
        budget: usize,
        run: impl Fn(&[&[u32]]) -> Result<Vec<Vec<f32>>> + 'static,
    ) -> Self {
        let about = Description::single([of.name, of.digest, settings], (layer, pooling), width);
        let labels = if of.labels.len() == width { of.labels } else { Vec::new() };
        Self { tokenizer: of.tokenizer, about, budget, run: Box::new(run), labels }
    }
}

impl Extractor for TextVectors {
    fn description(&self) -> &Description {
        &self.about
    }

    fn extract(&self, texts: &[&str]) -> Result<Vec<Pooled>> {
        let texts =
            texts.iter().map(|text| self.tokenizer.whole(text)).collect::<Result<Vec<_>>>()?;
        let rows: Vec<Row<'_>> =
            texts.iter().map(|(ids, cut)| (ids.as_slice(), ids.len(), *cut)).collect();
        in_batches(&rows, self.budget, |_, ids| (self.run)(ids))
    }
}

/// The mean of every row's own states, then to unit length: [batch, length, width] to one vector a row.
fn unit_mean(states: &Tensor, rows: &[&[u32]]) -> Result<Vec<Vec<f32>>> {
    let (batch, length, _) = states.dims3()?;
    let own = |row: &&[u32]| {
        let n = row.len();
        (0..length).map(move |i| if i < n { 1.0 } else { 0.0 })
    };
    let weight: Vec<f32> = rows.iter().flat_map(own).collect();
    let weight = Tensor::from_vec(weight, (batch, length), states.device())?;
    let sum = states.broadcast_mul(&weight.unsqueeze(2)?)?.sum(1)?;
    let mean = sum.broadcast_div(&weight.sum_keepdim(1)?)?;
    let norm = mean.sqr()?.sum_keepdim(1)?.sqrt()?.maximum(1e-12)?;
    Ok(mean.broadcast_div(&norm)?.to_vec2()?)
}

/// An encoder's vectors of texts, as sentence-transformers take them: mean-pooled, of unit length. Texts of more than
/// `limit` tokens (the special ones included) are cut; the model's own limit applies too.
pub fn sentences(mut of: Pretrained, limit: usize, device: &Device) -> Result<TextVectors> {
    const TOKENS_A_BATCH: usize = 1024;
    let limit = limit.clamp(2, of.spec.context.max(2));
    let about = (of.spec.depth, Pooling::Mean, of.spec.width);
    of.tokenizer.cut_at(limit)?;
    let (model, _) = of.load(device, |parameters| Transformer::load(parameters, limit))?;
    let settings = format!("at most {limit} tokens, mean pooled, unit length");
    let run = move |rows: &[&[u32]]| unit_mean(&model.last(&model.tokens(rows)?)?, rows);
    Ok(TextVectors::new(of, settings, about, TOKENS_A_BATCH, run))
}

fn short(path: &Path) -> String {
    path.file_name().map_or_else(String::new, |n| n.to_string_lossy().into_owned())
}

fn gguf_file(path: &Path) -> Result<Option<PathBuf>> {
    let is_gguf = |p: &PathBuf| p.extension().is_some_and(|e| e.eq_ignore_ascii_case("gguf"));
    let place = path.display();
    if !path.exists() {
        bail!("{place}: does not exist; `qdllm teach --help` says where models come from");
    }
    if !path.is_dir() {
        return Ok(Some(path.to_owned()).filter(is_gguf));
    }
    let entries = std::fs::read_dir(path).and_then(Iterator::collect::<io::Result<Vec<DirEntry>>>);
    let entries = entries.of_file(path)?;
    let mut found: Vec<PathBuf> = entries.iter().map(DirEntry::path).filter(is_gguf).collect();
    if found.len() > 1 {
        bail!("{place}: holds {} GGUF files; name the one to use", found.len());
    }
    Ok(found.pop())
}

//! Weights by name, from safetensors files or a GGUF file.

pub mod gguf;
mod gguf_tokenizer;
pub mod pre_tokenizers;

use crate::teacher::llm::config::JsonObject;
use anyhow::{Result, anyhow, bail};
use candle_core::{DType, Device, Tensor};
use qdllm_host::errors::OfFile as _;
use qdllm_host::hex;
use safetensors::Dtype;
use safetensors::tensor::{Metadata, TensorInfo};
use sha2::{Digest as _, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

pub trait Tensors {
    fn get(&mut self, name: &str) -> Result<Option<Tensor>>;
    /// The shape of a tensor, `None` when there is none of that name.
    fn shape(&self, name: &str) -> Option<Vec<usize>>;
    /// What errors name: the file, or the index of the files.
    fn path(&self) -> &Path;
    /// The tensor's name in the file, where that is another one.
    fn own_name(&self, name: &str) -> String {
        name.to_owned()
    }
}

pub fn file_digest(path: &Path) -> Result<String> {
    let mut hash = Sha256::new();
    let copied = File::open(path).and_then(|mut file| io::copy(&mut file, &mut hash));
    copied.of_file(path)?;
    Ok(hex::encode(hash.finalize()))
}

/// One digest of several, which are written one after the other.
pub fn joint_digest(digests: &str) -> String {
    hex::encode(Sha256::digest(digests))
}

/// Longest header that is believed, bytes; the format's own limit.
const MAX_HEADER_BYTES: u64 = 100_000_000;

pub struct Safetensors {
    path: PathBuf,
    /// Each with the place where its tensors begin.
    files: Vec<(PathBuf, File, u64)>,
    /// The number of a tensor's file, and what that says of it.
    pub tensors: BTreeMap<String, (usize, TensorInfo)>,
}

impl Safetensors {
    /// Opens `stem.safetensors` in a folder, or all files that `stem.safetensors.index.json` names.
    pub fn open(folder: &Path, stem: &str) -> Result<Self> {
        let single = folder.join(format!("{stem}.safetensors"));
        let index = folder.join(format!("{stem}.safetensors.index.json"));
        let path = if single.is_file() { &single } else { &index };
        let mut shards = Self { path: path.clone(), files: Vec::new(), tensors: BTreeMap::new() };
        if single.is_file() {
            shards.add(single, &|_| true)?;
            return Ok(shards);
        }
        let place = folder.display();
        if !index.is_file() && folder.join("pytorch_model.bin").exists() {
            bail!(
                "{place}: holds pytorch_model.bin, which can run code when read, and no {stem}.safetensors; convert it with `save_pretrained(..., safe_serialization=True)`"
            );
        }
        if !index.is_file() {
            bail!(
                "{place}: has neither {stem}.safetensors nor {stem}.safetensors.index.json; fetch the folder again"
            );
        }
        let map = shard_of_each_tensor(&index)?;
        let place = index.display();
        for name in map.values().collect::<BTreeSet<_>>() {
            let path = folder.join(name);
            let plain = Path::new(name).file_name().is_some_and(|n| n == name.as_str());
            if !plain || !path.is_file() {
                bail!(
                    "{place}: names the shard {name}, which is not in the folder; fetch that file again"
                );
            }
            shards.add(path, &|tensor| map.get(tensor) == Some(name))?;
        }
        for (tensor, file) in &map {
            if !shards.tensors.contains_key(tensor) {
                bail!(
                    "{place}: puts tensor `{tensor}` into {file}, which does not hold it; fetch that file again"
                );
            }
        }
        Ok(shards)
    }

    /// Reads one file's header and takes the tensors that are wanted of it.
    fn add(&mut self, path: PathBuf, wanted: &dyn Fn(&str) -> bool) -> Result<()> {
        let mut file = File::open(&path).of_file(&path)?;
        let (start, metadata) = header(&mut file).map_err(|e| {
            anyhow!("{}: is no whole safetensors file ({e}); fetch it again", path.display())
        })?;
        for (name, info) in metadata.tensors() {
            if wanted(&name) {
                self.tensors.insert(name, (self.files.len(), info.clone()));
            }
        }
        self.files.push((path, file, start));
        Ok(())
    }

    /// SHA-256 of the files: that of the one, or of all digests in order.
    pub fn digest(&self) -> Result<String> {
        let each = self.files.iter().map(|(path, ..)| file_digest(path));
        let each: Vec<String> = each.collect::<Result<_>>()?;
        Ok(if let [one] = &each[..] { one.clone() } else { joint_digest(&each.concat()) })
    }
}

/// Where the tensors of a safetensors file begin, and what it says of them.
fn header(file: &mut File) -> Result<(u64, Metadata)> {
    let length = file.metadata()?.len();
    let mut word = [0; 8];
    file.read_exact(&mut word)?;
    let header = u64::from_le_bytes(word);
    if header > MAX_HEADER_BYTES || header + 8 > length {
        bail!("its header claims {header} bytes");
    }
    let mut text = vec![0; header as usize];
    file.read_exact(&mut text)?;
    let metadata: Metadata = serde_json::from_slice(&text)?;
    if metadata.data_len() as u64 + 8 + header != length {
        bail!("{} bytes of tensors are not there", metadata.data_len());
    }
    Ok((8 + header, metadata))
}

/// What an index of shards says: the file of each tensor.
pub fn shard_of_each_tensor(index: &Path) -> Result<BTreeMap<String, String>> {
    JsonObject::read(index)?.need("weight_map")
}

impl Tensors for Safetensors {
    fn get(&mut self, name: &str) -> Result<Option<Tensor>> {
        let Some((number, info)) = self.tensors.get(name) else { return Ok(None) };
        let (path, file, start) = &mut self.files[*number];
        let dtype = match info.dtype {
            Dtype::F32 => DType::F32,
            Dtype::F16 => DType::F16,
            Dtype::BF16 => DType::BF16,
            Dtype::F64 => DType::F64,
            other => bail!(
                "{}: tensor `{name}` holds numbers of type {other:?}; f32, f16 and bf16 are supported",
                path.display()
            ),
        };
        let (from, to) = info.data_offsets;
        let mut bytes = vec![0; to.saturating_sub(from)];
        let at = file.seek(SeekFrom::Start(*start + from as u64));
        at.and_then(|_| file.read_exact(&mut bytes)).of_file(path)?;
        let tensor = Tensor::from_raw_buffer(&bytes, dtype, &info.shape, &Device::Cpu)?;
        Ok(Some(tensor.to_dtype(DType::F32)?))
    }

    fn shape(&self, name: &str) -> Option<Vec<usize>> {
        self.tensors.get(name).map(|(_, info)| info.shape.clone())
    }

    fn path(&self) -> &Path {
        &self.path
    }
}

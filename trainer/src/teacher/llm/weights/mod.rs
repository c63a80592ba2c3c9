//! Weights by name, from safetensors files or a GGUF file.

pub mod gguf;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Tensor};
use qdllm_host::hex;
use safetensors::Dtype;
use safetensors::tensor::Metadata;
use sha2::{Digest as _, Sha256};

use crate::teacher::llm::config::json::JsonObject;
use crate::teacher::{Result, TeacherError};

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

/// SHA-256 of a file, hexadecimal.
pub fn file_digest(path: &Path) -> Result<String> {
    let mut hash = Sha256::new();
    let copied = File::open(path).and_then(|mut file| io::copy(&mut file, &mut hash));
    copied.map_err(TeacherError::io(path))?;
    Ok(hex::encode(hash.finalize()))
}

/// One digest of several, which are written one after the other.
pub fn joint_digest(digests: &str) -> String {
    hex::encode(Sha256::digest(digests))
}

/// Longest header that is believed, bytes; the format's own limit.
const MAX_HEADER_BYTES: u64 = 100_000_000;

struct Place {
    file: usize,
    dtype: Dtype,
    shape: Vec<usize>,
    start: u64,
    bytes: usize,
}

pub struct Safetensors {
    path: PathBuf,
    files: Vec<(PathBuf, File)>,
    places: BTreeMap<String, Place>,
}

impl Safetensors {
    /// Opens `stem.safetensors` in a folder, or all files that `stem.safetensors.index.json` names.
    pub fn open(folder: &Path, stem: &str) -> Result<Self> {
        let single = folder.join(format!("{stem}.safetensors"));
        let index = folder.join(format!("{stem}.safetensors.index.json"));
        if single.is_file() {
            let mut shards =
                Self { path: single.clone(), files: Vec::new(), places: BTreeMap::new() };
            shards.add(single, &|_| true)?;
            return Ok(shards);
        }
        if !index.is_file() {
            let what = match folder.join("pytorch_model.bin").exists() {
                true => format!(
                    "holds pytorch_model.bin, which can run code when read, and no {stem}.safetensors; convert it with `save_pretrained(..., safe_serialization=True)`"
                ),
                false => format!(
                    "has neither {stem}.safetensors nor {stem}.safetensors.index.json; fetch the folder again"
                ),
            };
            return Err(TeacherError::model(folder, what));
        }
        let keys = JsonObject::read(&index)?;
        let map = keys.child("weight_map")?.ok_or_else(|| keys.refuse("has no `weight_map`"))?;
        let names: BTreeSet<&str> = map.texts().map(|(_, file)| file).collect();
        let mut shards = Self { path: index.clone(), files: Vec::new(), places: BTreeMap::new() };
        for name in names {
            let path = folder.join(name);
            let plain = Path::new(name).file_name().is_some_and(|n| n == name);
            if !plain || !path.is_file() {
                let what = format!(
                    "names the shard {name}, which is not in the folder; fetch that file again"
                );
                return Err(TeacherError::model(&index, what));
            }
            let own = |tensor: &str| map.text(tensor).is_ok_and(|file| file == Some(name));
            shards.add(path, &own)?;
        }
        for (tensor, file) in map.texts() {
            if !shards.places.contains_key(tensor) {
                let what = format!(
                    "puts tensor `{tensor}` into {file}, which does not hold it; fetch that file again"
                );
                return Err(TeacherError::model(&index, what));
            }
        }
        Ok(shards)
    }

    /// Reads one file's header and takes the tensors that are wanted of it.
    fn add(&mut self, path: PathBuf, wanted: &dyn Fn(&str) -> bool) -> Result<()> {
        let bad = |what: String| {
            TeacherError::model(
                &path,
                format!("is no whole safetensors file ({what}); fetch it again"),
            )
        };
        let mut file = File::open(&path).map_err(TeacherError::io(&path))?;
        let length = file.metadata().map_err(TeacherError::io(&path))?.len();
        let mut word = [0; 8];
        file.read_exact(&mut word).map_err(|e| bad(e.to_string()))?;
        let header = u64::from_le_bytes(word);
        if header > MAX_HEADER_BYTES || header + 8 > length {
            return Err(bad(format!("its header claims {header} bytes")));
        }
        let mut text = vec![0; header as usize];
        file.read_exact(&mut text).map_err(|e| bad(e.to_string()))?;
        let metadata: Metadata = serde_json::from_slice(&text).map_err(|e| bad(e.to_string()))?;
        if metadata.data_len() as u64 + 8 + header != length {
            return Err(bad(format!("{} bytes of tensors are not there", metadata.data_len())));
        }
        let number = self.files.len();
        for (name, info) in metadata.tensors() {
            let (start, end) = info.data_offsets;
            let place = Place {
                file: number,
                dtype: info.dtype,
                shape: info.shape.clone(),
                start: 8 + header + start as u64,
                bytes: end.saturating_sub(start),
            };
            if wanted(&name) {
                self.places.insert(name, place);
            }
        }
        self.files.push((path, file));
        Ok(())
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.places.keys().map(String::as_str)
    }

    /// SHA-256 of the files: that of the one, or of all digests in order.
    pub fn digest(&self) -> Result<String> {
        let each: Vec<String> =
            self.files.iter().map(|(path, _)| file_digest(path)).collect::<Result<_, _>>()?;
        match each.as_slice() {
            [one] => Ok(one.clone()),
            many => Ok(joint_digest(&many.concat())),
        }
    }
}

impl Tensors for Safetensors {
    fn get(&mut self, name: &str) -> Result<Option<Tensor>> {
        let Some(place) = self.places.get(name) else {
            return Ok(None);
        };
        let (path, file) = &mut self.files[place.file];
        let dtype = match place.dtype {
            Dtype::F32 => DType::F32,
            Dtype::F16 => DType::F16,
            Dtype::BF16 => DType::BF16,
            Dtype::F64 => DType::F64,
            other => {
                let what = format!(
                    "tensor `{name}` holds numbers of type {other:?}; f32, f16 and bf16 are supported"
                );
                return Err(TeacherError::model(path, what));
            }
        };
        let mut bytes = vec![0; place.bytes];
        file.seek(SeekFrom::Start(place.start)).map_err(TeacherError::io(path))?;
        file.read_exact(&mut bytes).map_err(TeacherError::io(path))?;
        let tensor = Tensor::from_raw_buffer(&bytes, dtype, &place.shape, &Device::Cpu)?;
        Ok(Some(tensor.to_dtype(DType::F32)?))
    }

    fn shape(&self, name: &str) -> Option<Vec<usize>> {
        self.places.get(name).map(|place| place.shape.clone())
    }

    fn path(&self) -> &Path {
        &self.path
    }
}

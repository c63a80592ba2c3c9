//! GGUF container: typed hyper-parameters, dequantised tensors and the tokenizer that travels inside the file.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use candle_core::quantized::gguf_file::{Content, Value};
use candle_core::quantized::tokenizer::TokenizerFromGguf;
use candle_core::{Device, Tensor};
use tokenizers::Tokenizer;
use tokenizers::pre_tokenizers::PreTokenizerWrapper;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::digits::Digits;
use tokenizers::pre_tokenizers::sequence::Sequence;

use super::TeacherError;

/// An open GGUF file: the header is in memory, tensors are read one at a time.
pub struct Gguf {
    path: PathBuf,
    reader: BufReader<File>,
    content: Content,
    architecture: String,
}

impl Gguf {
    /// Opens the file and reads its header.
    ///
    /// # Errors
    /// When the file cannot be read, is not GGUF, or names no architecture.
    pub fn open(path: &Path) -> Result<Self, TeacherError> {
        let mut reader = BufReader::new(File::open(path).map_err(TeacherError::io(path))?);
        let content = Content::read(&mut reader).map_err(|e| {
            TeacherError::model(path, format!("not a readable GGUF file ({e}); fetch it again"))
        })?;
        let architecture = match content.metadata.get("general.architecture").map(Value::to_string)
        {
            Some(Ok(name)) => name.clone(),
            _ => {
                return Err(TeacherError::model(
                    path,
                    "the GGUF header has no `general.architecture`; fetch it again",
                ));
            }
        };
        Ok(Self { path: path.to_owned(), reader, content, architecture })
    }

    /// The file's path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The architecture's name, for example `llama`.
    pub fn architecture(&self) -> &str {
        &self.architecture
    }

    fn value(&self, key: &str) -> Result<&Value, TeacherError> {
        self.content.metadata.get(key).ok_or_else(|| {
            TeacherError::model(&self.path, format!("the GGUF header has no `{key}`"))
        })
    }

    fn bad(&self, key: &str, e: &candle_core::Error) -> TeacherError {
        TeacherError::model(&self.path, format!("GGUF key `{key}` has the wrong type ({e})"))
    }

    /// A count such as `block_count`, under the architecture's prefix.
    ///
    /// # Errors
    /// When the key is missing or no unsigned integer.
    pub fn count(&self, key: &str) -> Result<usize, TeacherError> {
        let key = format!("{}.{key}", self.architecture);
        self.value(&key)?.to_u32().map(|n| n as usize).map_err(|e| self.bad(&key, &e))
    }

    /// A real hyper-parameter, or `default` when the file leaves it out.
    ///
    /// # Errors
    /// When the key is there and no float.
    pub fn real(&self, key: &str, default: f32) -> Result<f32, TeacherError> {
        let key = format!("{}.{key}", self.architecture);
        match self.content.metadata.get(&key) {
            None => Ok(default),
            Some(v) => v.to_f32().map_err(|e| self.bad(&key, &e)),
        }
    }

    /// True when the file has a tensor of this name.
    pub fn has_tensor(&self, name: &str) -> bool {
        self.content.tensor_infos.contains_key(name)
    }

    /// Reads one tensor and dequantises it to f32 of exactly `shape`.
    ///
    /// # Errors
    /// When the tensor is missing, cannot be read, or has another shape.
    pub fn tensor(
        &mut self,
        name: &str,
        shape: &[usize],
        device: &Device,
    ) -> Result<Tensor, TeacherError> {
        if !self.has_tensor(name) {
            return Err(TeacherError::model(
                &self.path,
                format!("tensor `{name}` is missing; fetch the file again"),
            ));
        }
        let tensor = self
            .content
            .tensor(&mut self.reader, name, device)
            .and_then(|t| t.dequantize(device))
            .map_err(|e| {
                TeacherError::model(
                    &self.path,
                    format!("tensor `{name}`: {e}; fetch the file again"),
                )
            })?;
        if tensor.dims() != shape {
            let what = format!(
                "tensor `{name}` has shape {:?}, the header asks for {shape:?}",
                tensor.dims()
            );
            return Err(TeacherError::model(&self.path, what));
        }
        Ok(tensor)
    }

    /// Rows of the token embedding, which is the vocabulary's size.
    ///
    /// # Errors
    /// When the file has no `token_embd.weight`.
    pub fn vocabulary(&self) -> Result<usize, TeacherError> {
        self.content
            .tensor_infos
            .get("token_embd.weight")
            .and_then(|info| info.shape.dims().first().copied())
            .ok_or_else(|| TeacherError::model(&self.path, "tensor `token_embd.weight` is missing"))
    }

    /// The tokenizer inside the file.
    ///
    /// # Errors
    /// When the file carries none, or one that is not byte-level BPE.
    pub fn tokenizer(&self) -> Result<Tokenizer, TeacherError> {
        let mut tokenizer =
            <Tokenizer as TokenizerFromGguf>::from_gguf(&self.content).map_err(|e| {
                TeacherError::model(&self.path, format!("its tokenizer cannot be used ({e})"))
            })?;
        let pre = self.content.metadata.get("tokenizer.ggml.pre").and_then(|v| v.to_string().ok());
        if pre.is_some_and(|name| name == "smollm") {
            // This family reads every digit by itself and puts no space before the first word; the
            // reader's default for names it does not know does neither.
            let steps: Vec<PreTokenizerWrapper> =
                vec![Digits::new(true).into(), ByteLevel::new(false, true, true).into()];
            tokenizer.with_pre_tokenizer(Some(PreTokenizerWrapper::from(Sequence::new(steps))));
        }
        Ok(tokenizer)
    }
}

//! GGUF container: typed hyper-parameters, dequantised tensors and the tokenizer that travels inside the file.

use crate::teacher::llm::config::architecture::{
    Family, Names, Position, SUPPORTED, Spec, Stretch, renamed,
};
use crate::teacher::llm::weights::Tensors;
use anyhow::{Context as _, Result, bail};
use candle_core::quantized::gguf_file::{Content, Value};
use candle_core::quantized::tokenizer::TokenizerFromGguf;
use candle_core::{Device, Result as CandleResult, Tensor};
use qdllm_host::errors::OfFile as _;
use std::fmt::Display;
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use tokenizers::Tokenizer;
use tokenizers::pre_tokenizers::PreTokenizerWrapper;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::digits::Digits;
use tokenizers::pre_tokenizers::sequence::Sequence;

/// An open GGUF file: the header is in memory, tensors are read one at a time.
pub struct Gguf {
    path: PathBuf,
    reader: BufReader<File>,
    content: Content,
    architecture: String,
}

impl Gguf {
    pub fn open(path: &Path) -> Result<Self> {
        let mut reader = BufReader::new(File::open(path).of_file(path)?);
        let place = path.display();
        let content = match Content::read(&mut reader) {
            Ok(content) => content,
            Err(e) => bail!("{place}: not a readable GGUF file ({e}); fetch it again"),
        };
        let named = content.metadata.get("general.architecture").and_then(|v| v.to_string().ok());
        let architecture = named.cloned().with_context(|| {
            format!("{place}: the GGUF header has no `general.architecture`; fetch it again")
        })?;
        Ok(Self { path: path.to_owned(), reader, content, architecture })
    }

    fn refuse<T>(&self, what: impl Display) -> Result<T> {
        bail!("{}: {what}", self.path.display())
    }

    /// A text of the header, under its full key.
    fn text(&self, key: &str) -> Option<&str> {
        Some(self.content.metadata.get(key)?.to_string().ok()?.as_str())
    }

    /// A hyper-parameter under the architecture's prefix; `None` when the file leaves it out.
    fn number<T>(&self, key: &str, read: fn(&Value) -> CandleResult<T>) -> Result<Option<T>> {
        let key = format!("{}.{key}", self.architecture);
        let found = self.content.metadata.get(&key).map(read).transpose();
        found.or_else(|e| self.refuse(format!("GGUF key `{key}` has the wrong type ({e})")))
    }

    fn count(&self, key: &str) -> Result<usize> {
        let missing =
            || self.refuse(format!("the GGUF header has no `{}.{key}`", self.architecture));
        self.number(key, Value::to_u32)?.map_or_else(missing, |n| Ok(n as usize))
    }

    fn real(&self, key: &str, default: f32) -> Result<f64> {
        Ok(f64::from(self.number(key, Value::to_f32)?.unwrap_or(default)))
    }

    fn has_tensor(&self, name: &str) -> bool {
        self.content.tensor_infos.contains_key(name)
    }

    /// The numbers of a tensor under its own name, as f32; `None` when there is none.
    fn read(&mut self, name: &str) -> Result<Option<Tensor>> {
        if !self.has_tensor(name) {
            return Ok(None);
        }
        let packed = self.content.tensor(&mut self.reader, name, &Device::Cpu);
        let whole = packed.and_then(|t| t.dequantize(&Device::Cpu)).map(Some);
        whole.or_else(|e| self.refuse(format!("tensor `{name}`: {e}; fetch the file again")))
    }

    pub fn spec(&mut self) -> Result<Spec> {
        let families =
            [("llama", Family::Llama), ("qwen2", Family::Qwen2), ("qwen3", Family::Qwen3)];
        let own = self.architecture.as_str();
        let Some(&(_, family)) = families.iter().find(|(name, _)| *name == own) else {
            return self
                .refuse(format!("architecture `{own}` is not supported; these are: {SUPPORTED}"));
        };
        let (width, heads) = (self.count("embedding_length")?, self.count("attention.head_count")?);
        let depth = self.count("block_count")?;
        let given = self.number("attention.key_length", Value::to_u32)?;
        let head_width = given.map_or(width / heads.max(1), |n| n as usize);
        let base = self.real("rope.freq_base", 10_000.0)?;
        let scaling = self.text(&format!("{own}.rope.scaling.type")).unwrap_or("none").to_owned();
        let stretch = match (scaling.as_str(), self.read("rope_freqs.weight")?) {
            (_, Some(divisors)) => Stretch::Divisors(divisors.flatten_all()?.to_vec1()?),
            ("none", None) => Stretch::None,
            ("linear", None) => Stretch::Linear(self.real("rope.scaling.factor", 1.0)?),
            (other, None) => {
                return self.refuse(format!(
                    "rope scaling `{other}` is not supported; none and linear are"
                ));
            }
        };
        let Some(&[vocabulary, _]) = self.shape("model.embed_tokens.weight").as_deref() else {
            return self.refuse("tensor `token_embd.weight` is missing");
        };
        let sizes = [
            vocabulary,
            width,
            depth,
            heads,
            self.count("feed_forward_length")?,
            self.count("context_length")?,
        ];
        let epsilon = self.real("attention.layer_norm_rms_epsilon", 1e-5)?;
        let position = Position::Rotary { base, stretch, local_base: base };
        let spec = Spec {
            kv_heads: self.count("attention.head_count_kv")?,
            head_width,
            attention_scale: (head_width as f64).powf(-0.5),
            qkv_bias: self.has_tensor("blk.0.attn_q.bias"),
            output_bias: self.has_tensor("blk.0.attn_output.bias"),
            // A file without an output matrix shares the embedding's.
            tied: !self.has_tensor("output.weight"),
            ..Spec::plain(family, sizes, epsilon, position)
        };
        spec.fault().map_or(Ok(spec), |fault| self.refuse(fault))
    }

    pub fn opening(&self) -> Vec<u32> {
        let value = |key: &str| self.content.metadata.get(key);
        let llama3 = self.text("tokenizer.ggml.pre") == Some("llama-bpe");
        let adds = value("tokenizer.ggml.add_bos_token").and_then(|v| v.to_bool().ok());
        match value("tokenizer.ggml.bos_token_id").and_then(|v| v.to_u32().ok()) {
            Some(id) if adds.unwrap_or(llama3) => vec![id],
            _ => Vec::new(),
        }
    }

    pub fn tokenizer(&self) -> Result<Tokenizer> {
        let mut tokenizer = <Tokenizer as TokenizerFromGguf>::from_gguf(&self.content)
            .or_else(|e| self.refuse(format!("its tokenizer cannot be used ({e})")))?;
        if self.text("tokenizer.ggml.pre") == Some("smollm") {
            // This family reads every digit by itself and puts no space before the first word; the
            // reader's default for names it does not know does neither.
            let steps: Vec<PreTokenizerWrapper> =
                vec![Digits::new(true).into(), ByteLevel::new(false, true, true).into()];
            tokenizer.with_pre_tokenizer(Some(PreTokenizerWrapper::from(Sequence::new(steps))));
        }
        Ok(tokenizer)
    }
}

const NAMES: Names = &[
    ("model.embed_tokens", "token_embd"),
    ("model.norm", "output_norm"),
    ("lm_head", "output"),
    ("model.layers", "blk"),
    ("self_attn.q_proj", "attn_q"),
    ("self_attn.k_proj", "attn_k"),
    ("self_attn.v_proj", "attn_v"),
    ("self_attn.o_proj", "attn_output"),
    ("self_attn.q_norm", "attn_q_norm"),
    ("self_attn.k_norm", "attn_k_norm"),
    ("input_layernorm", "attn_norm"),
    ("post_attention_layernorm", "ffn_norm"),
    ("mlp.gate_proj", "ffn_gate"),
    ("mlp.up_proj", "ffn_up"),
    ("mlp.down_proj", "ffn_down"),
];

impl Tensors for Gguf {
    fn get(&mut self, name: &str) -> Result<Option<Tensor>> {
        let own = self.own_name(name);
        let Some(tensor) = self.read(&own)? else { return Ok(None) };
        let heads = match () {
            () if self.architecture != "llama" => return Ok(Some(tensor)),
            () if own.contains("attn_q.") => self.count("attention.head_count")?,
            () if own.contains("attn_k.") => self.count("attention.head_count_kv")?,
            () => return Ok(Some(tensor)),
        };
        // Files of this architecture interleave the two halves that a rotation pairs; put them apart again.
        let shape = tensor.dims().to_vec();
        let rows = shape.first().copied().unwrap_or(0);
        if heads == 0 || !rows.is_multiple_of(2 * heads) {
            return Ok(Some(tensor));
        }
        let split = (heads, rows / (2 * heads), 2, tensor.elem_count() / rows);
        Ok(Some(tensor.reshape(split)?.transpose(1, 2)?.contiguous()?.reshape(shape)?))
    }

    fn shape(&self, name: &str) -> Option<Vec<usize>> {
        let info = self.content.tensor_infos.get(&self.own_name(name))?;
        Some(info.shape.dims().to_vec())
    }

    fn path(&self) -> &Path {
        &self.path
    }

    fn own_name(&self, name: &str) -> String {
        let (stem, end) = name.rsplit_once('.').unwrap_or((name, "weight"));
        format!("{}.{end}", renamed(stem, NAMES))
    }
}

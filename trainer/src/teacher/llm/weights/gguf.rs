//! GGUF container: typed hyper-parameters, dequantised tensors and the tokenizer that travels inside the file.

use crate::teacher::llm::config::architecture::{
    Family, Names, Position, SUPPORTED, Spec, Stretch, renamed,
};
use crate::teacher::llm::tokenizer::TextTokenizer;
use crate::teacher::llm::weights::Tensors;
use crate::teacher::llm::weights::gguf_tokenizer::GgufTokenizer;
use anyhow::{Context as _, Result, bail};
use candle_core::quantized::gguf_file::{Content, Value};
use candle_core::{Device, Result as CandleResult, Tensor};
use qdllm_host::errors::OfFile as _;
use std::fmt::Display;
use std::fs::File;
use std::io::{BufReader, Read as _};
use std::path::{Path, PathBuf};

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
            Err(e) => bail!("{place}: {}", unread(path, &e.to_string())),
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
        let what = |e: candle_core::Error| match e.to_string() {
            short if short.contains("remaining in file") => {
                format!("tensor `{name}`: {short}; fetch the file again")
            }
            e => format!("tensor `{name}`: {e}; {REMEDY}"),
        };
        whole.or_else(|e| self.refuse(what(e)))
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

    pub fn tokenizer(&self) -> Result<TextTokenizer> {
        let json = GgufTokenizer::new(&self.content.metadata).and_then(|found| found.json());
        let json = json.or_else(|e| self.refuse(format!("its tokenizer cannot be used: {e:#}")))?;
        TextTokenizer::parse(&json.to_string())
            .or_else(|e| self.refuse(format!("its tokenizer cannot be used: {e}")))
    }
}

const REMEDY: &str =
    "take a file of the same model in Q4_0 to Q8_0, Q2_K to Q6_K, F16, BF16 or F32";

/// Types of weights that are not read, each behind its number.
const FOREIGN: &str = "16 IQ2_XXS, 17 IQ2_XS, 18 IQ3_XXS, 19 IQ1_S, 20 IQ4_NL, 21 IQ3_S, 22 IQ2_S, 23 IQ4_XS, \
    24 I8, 25 I16, 26 I32, 29 IQ1_M, 34 TQ1_0, 35 TQ2_0, 39 MXFP4, 40 NVFP4";

/// Why a header could not be read, and what to do.
fn unread(path: &Path, why: &str) -> String {
    let mut start = [0; 8];
    let read = File::open(path).and_then(|mut file| file.read_exact(&mut start));
    if read.is_ok() && start.starts_with(b"GGUF\0\0\0") {
        return "is a big-endian GGUF file; take the little-endian one".into();
    }
    match why.split_once("unknown dtype for tensor ") {
        Some((_, number)) => {
            let number = number.lines().next().unwrap_or_default().trim();
            let mut known = FOREIGN.split(", ").filter_map(|entry| entry.split_once(' '));
            let name = known.find(|(known, _)| *known == number);
            let name = name.map_or_else(|| format!("number {number}"), |(_, name)| name.to_owned());
            format!("holds weights of type {name}, which is not supported; {REMEDY}")
        }
        None => format!("not a readable GGUF file ({why}); fetch it again"),
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

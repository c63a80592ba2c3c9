//! Llama-family decoder on dequantised GGUF weights that hands out the hidden states of every layer.
//!
//! The usual quantised implementations return the logits of the last token only, and a probe needs the inside.
//! Weights are held as f32 (about 4 bytes a parameter): on a CPU a matrix product over a batch of tokens is several
//! times quicker than a product with packed 4-bit weights, which wins only when tokens come one at a time.

use std::path::Path;

use candle_core::{D, Device, Module, Tensor};
use candle_nn::{Embedding, Linear, ops, rotary_emb};

use super::TeacherError;
use super::gguf::Gguf;

struct Layer {
    attention_norm: Tensor,
    query: Linear,
    key: Linear,
    value: Linear,
    output: Linear,
    feed_norm: Tensor,
    gate: Linear,
    up: Linear,
    down: Linear,
}

/// The decoder's weights.
pub struct Llama {
    embedding: Embedding,
    layers: Vec<Layer>,
    norm: Tensor,
    unembedding: Linear,
    epsilon: f32,
    width: usize,
    heads: usize,
    kv_heads: usize,
    head_width: usize,
    context: usize,
    /// cos and sin of every position: [context, `head_width` / 2].
    cos: Tensor,
    sin: Tensor,
}

/// Token sequences of one length with what attention needs to know about them.
pub struct Tokens {
    /// Token ids, [batch, length].
    pub ids: Tensor,
    /// Position of every token, row-major, batch x length; all rows count from 0.
    pub positions: Vec<u32>,
    /// Added to the attention scores: [batch or 1, 1, length, length], 0 or minus infinity.
    pub mask: Tensor,
}

impl Tokens {
    /// Plain causal sequences, right-padded to the longest: padding follows the text, so the causal mask hides it.
    ///
    /// # Errors
    /// When there is no sequence or only empty ones.
    pub fn causal(rows: &[&[u32]], device: &Device) -> Result<Self, TeacherError> {
        let length = rows.iter().map(|r| r.len()).max().unwrap_or(0);
        let padded = rows
            .iter()
            .flat_map(|r| r.iter().copied().chain(std::iter::repeat(0)).take(length))
            .collect();
        let mask = (0..length * length)
            .map(|i| if i % length > i / length { f32::NEG_INFINITY } else { 0.0 })
            .collect();
        Ok(Self {
            ids: Tensor::from_vec::<_, u32>(padded, (rows.len(), length), device)?,
            positions: rows.iter().flat_map(|_| 0..length as u32).collect(),
            mask: Tensor::from_vec::<_, f32>(mask, (1, 1, length, length), device)?,
        })
    }
}

impl Llama {
    /// Reads and dequantises the weights. `context` is the longest sequence that will be asked for.
    ///
    /// # Errors
    /// When the file is no llama-family model or a tensor is missing or misshapen.
    pub fn load(gguf: &mut Gguf, context: usize, device: &Device) -> Result<Self, TeacherError> {
        let path = gguf.path().to_owned();
        if gguf.architecture() != "llama" {
            let what = format!(
                "architecture `{}` is not supported; use a GGUF of the llama family",
                gguf.architecture()
            );
            return Err(TeacherError::model(&path, what));
        }
        let (width, heads) = (gguf.count("embedding_length")?, gguf.count("attention.head_count")?);
        let (kv_heads, feed) =
            (gguf.count("attention.head_count_kv")?, gguf.count("feed_forward_length")?);
        let blocks = gguf.count("block_count")?;
        check_heads(&path, width, heads, kv_heads)?;
        let head_width = width / heads;
        let kv_width = kv_heads * head_width;
        let context = context.min(gguf.count("context_length")?);

        let mut layers = Vec::with_capacity(blocks);
        for i in 0..blocks {
            let mut linear = |name: &str, rows: usize, columns: usize| {
                let weight =
                    gguf.tensor(&format!("blk.{i}.{name}.weight"), &[rows, columns], device)?;
                Ok::<_, TeacherError>(Linear::new(weight, None))
            };
            let (query, output) =
                (linear("attn_q", width, width)?, linear("attn_output", width, width)?);
            let (key, value) =
                (linear("attn_k", kv_width, width)?, linear("attn_v", kv_width, width)?);
            let (gate, up) = (linear("ffn_gate", feed, width)?, linear("ffn_up", feed, width)?);
            let down = linear("ffn_down", width, feed)?;
            let attention_norm =
                gguf.tensor(&format!("blk.{i}.attn_norm.weight"), &[width], device)?;
            let feed_norm = gguf.tensor(&format!("blk.{i}.ffn_norm.weight"), &[width], device)?;
            layers.push(Layer {
                attention_norm,
                query,
                key,
                value,
                output,
                feed_norm,
                gate,
                up,
                down,
            });
        }
        let vocabulary = gguf.vocabulary()?;
        let embedding = gguf.tensor("token_embd.weight", &[vocabulary, width], device)?;
        // A file without an output matrix shares the embedding's.
        let unembedding = match gguf.has_tensor("output.weight") {
            true => gguf.tensor("output.weight", &[vocabulary, width], device)?,
            false => embedding.clone(),
        };
        let (cos, sin) =
            rotations(context, head_width, gguf.real("rope.freq_base", 10_000.0)?, device)?;
        Ok(Self {
            embedding: Embedding::new(embedding, width),
            layers,
            norm: gguf.tensor("output_norm.weight", &[width], device)?,
            unembedding: Linear::new(unembedding, None),
            epsilon: gguf.real("attention.layer_norm_rms_epsilon", 1e-5)?,
            width,
            heads,
            kv_heads,
            head_width,
            context,
            cos,
            sin,
        })
    }

    /// Number of decoder layers; hidden states are numbered 0 (embedding) to this (after the last layer).
    pub fn depth(&self) -> usize {
        self.layers.len()
    }

    /// Length of a hidden state.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Longest sequence, in tokens.
    pub fn context(&self) -> usize {
        self.context
    }

    /// Runs layers 1 to `depth` and shows `visit` the states [batch, length, width] after each, 0 being the
    /// embedding. The states after the very last layer are shown normed, as the output matrix sees them.
    ///
    /// # Errors
    /// Whatever `visit` returns, or a tensor error when a sequence is longer than the context.
    pub fn run(
        &self,
        tokens: &Tokens,
        depth: usize,
        mut visit: impl FnMut(usize, &Tensor) -> Result<(), TeacherError>,
    ) -> Result<(), TeacherError> {
        let (batch, length) = tokens.ids.dims2()?;
        let positions = Tensor::from_slice(&tokens.positions, batch * length, tokens.ids.device())?;
        let half = self.head_width / 2;
        let cos = self.cos.index_select(&positions, 0)?.reshape((batch, length, half))?;
        let sin = self.sin.index_select(&positions, 0)?.reshape((batch, length, half))?;
        let mut x = self.embedding.forward(&tokens.ids)?;
        visit(0, &x)?;
        for (i, layer) in self.layers.iter().take(depth).enumerate() {
            let normed = ops::rms_norm(&x, &layer.attention_norm, self.epsilon)?;
            x = (x + self.attend(layer, &normed, &cos, &sin, &tokens.mask)?)?;
            let normed = ops::rms_norm(&x, &layer.feed_norm, self.epsilon)?;
            let gated = (layer.gate.forward(&normed)?.silu()? * layer.up.forward(&normed)?)?;
            x = (x + layer.down.forward(&gated)?)?;
            if i + 1 == self.layers.len() {
                visit(i + 1, &ops::rms_norm(&x, &self.norm, self.epsilon)?)?;
            } else {
                visit(i + 1, &x)?;
            }
        }
        Ok(())
    }

    /// Log-probabilities of the next token from last-layer states: [n, width] to [n, vocabulary].
    ///
    /// # Errors
    /// When the states do not have the model's width.
    pub fn next_token(&self, states: &Tensor) -> Result<Tensor, TeacherError> {
        Ok(ops::log_softmax(&self.unembedding.forward(states)?, D::Minus1)?)
    }

    fn attend(
        &self,
        layer: &Layer,
        x: &Tensor,
        cos: &Tensor,
        sin: &Tensor,
        mask: &Tensor,
    ) -> Result<Tensor, TeacherError> {
        let (batch, length, _) = x.dims3()?;
        let split = |t: Tensor, heads: usize| {
            t.reshape((batch, length, heads, self.head_width))?.transpose(1, 2)?.contiguous()
        };
        // GGUF files of this family hold query and key rows permuted for the interleaved rotation.
        let query = rotary_emb::rope_i(&split(layer.query.forward(x)?, self.heads)?, cos, sin)?;
        let key = rotary_emb::rope_i(&split(layer.key.forward(x)?, self.kv_heads)?, cos, sin)?;
        let value = split(layer.value.forward(x)?, self.kv_heads)?;
        // The queries that share a key head are stacked into one taller matrix: nothing is repeated in memory.
        let shared = self.heads / self.kv_heads;
        let query = query.reshape((batch, self.kv_heads, shared * length, self.head_width))?;
        let scores = (query.matmul(&key.t()?)? / (self.head_width as f64).sqrt())?;
        let scores = scores.reshape((batch, self.heads, length, length))?.broadcast_add(mask)?;
        let weights = ops::softmax_last_dim(&scores)?.reshape((
            batch,
            self.kv_heads,
            shared * length,
            length,
        ))?;
        let mixed =
            weights.matmul(&value)?.reshape((batch, self.heads, length, self.head_width))?;
        Ok(layer.output.forward(&mixed.transpose(1, 2)?.reshape((batch, length, self.width))?)?)
    }
}

fn check_heads(
    path: &Path,
    width: usize,
    heads: usize,
    kv_heads: usize,
) -> Result<(), TeacherError> {
    let fits =
        heads > 0 && kv_heads > 0 && width.is_multiple_of(heads) && heads.is_multiple_of(kv_heads);
    if fits && (width / heads).is_multiple_of(2) {
        return Ok(());
    }
    let what = format!("width {width}, {heads} heads and {kv_heads} key heads do not go together");
    Err(TeacherError::model(path, what))
}

fn rotations(
    context: usize,
    head_width: usize,
    base: f32,
    device: &Device,
) -> Result<(Tensor, Tensor), TeacherError> {
    let half = head_width / 2;
    let angle = |i: usize| {
        (i / half) as f64 * f64::from(base).powf(-2.0 * (i % half) as f64 / head_width as f64)
    };
    let table =
        |f: fn(f64) -> f64| (0..context * half).map(|i| f(angle(i)) as f32).collect::<Vec<_>>();
    let cos = Tensor::from_vec(table(f64::cos), (context, half), device)?;
    let sin = Tensor::from_vec(table(f64::sin), (context, half), device)?;
    Ok((cos, sin))
}

//! One layer: attention (heads that share keys, and what the positions add) and feed-forward, each with its
//! norms and its residual.

use crate::teacher::llm::config::architecture::{Family, Spec};
use crate::teacher::llm::layers::{Normed, Parameters, Projection, softmax};
use crate::teacher::llm::transformer::position::Placed;
use anyhow::Result;
use candle_core::{Module as _, Tensor};

struct Attention {
    /// Query, key and value, or one matrix: its rows are heads x (query, key, value) x head width.
    inputs: Vec<Projection>,
    query_norm: Option<Normed>,
    key_norm: Option<Normed>,
    output: Projection,
    window: Option<usize>,
    turns: bool,
}

impl Attention {
    fn load(parameters: &mut Parameters<'_>, spec: &Spec, layer: usize) -> Result<Self> {
        let width = spec.width;
        let (inner, kv) = (spec.heads * spec.head_width, spec.kv_heads * spec.head_width);
        let full = |part: &str| spec.family.own(&format!("model.layers.{layer}.self_attn.{part}"));
        let mut linear = |part: &str, shape, bias| parameters.linear(&full(part), shape, bias);
        let inputs = match spec.family {
            Family::Bloom => vec![linear("qkv_proj", [3 * inner, width], spec.qkv_bias)?],
            _ => vec![
                linear("q_proj", [inner, width], spec.qkv_bias)?,
                linear("k_proj", [kv, width], spec.qkv_bias)?,
                linear("v_proj", [kv, width], spec.qkv_bias)?,
            ],
        };
        let output = linear("o_proj", [width, inner], spec.output_bias)?;
        let normed = matches!(spec.family, Family::Qwen3 | Family::Gemma3);
        let mut norm = |part: &str| {
            let norm = || parameters.norm(&full(part), spec.head_width);
            normed.then(norm).transpose()
        };
        Ok(Self {
            inputs,
            query_norm: norm("q_norm")?,
            key_norm: norm("k_norm")?,
            output,
            window: spec.windows.get(layer).copied().flatten(),
            turns: !spec.unturned.contains(&layer),
        })
    }

    fn forward(&self, x: &Tensor, spec: &Spec, placed: &Placed) -> Result<Tensor> {
        let (batch, length, _) = x.dims3()?;
        let (heads, kv_heads, size) = (spec.heads, spec.kv_heads, spec.head_width);
        let split =
            |t: Tensor, heads: usize| t.reshape((batch, length, heads, size))?.transpose(1, 2);
        let (query, key, value) = match &self.inputs[..] {
            [query, key, value] => (
                split(query.forward(x)?, heads)?,
                split(key.forward(x)?, kv_heads)?,
                split(value.forward(x)?, kv_heads)?,
            ),
            all => {
                let all = all[0].forward(x)?.reshape((batch, length, heads, 3, size))?;
                let part = |i| all.narrow(3, i, 1)?.squeeze(3)?.transpose(1, 2);
                (part(0)?, part(1)?, part(2)?)
            }
        };
        let turned = |t: Tensor, norm: &Option<Normed>| {
            let t = norm.as_ref().map_or(Ok(t.clone()), |norm| norm.forward(&t))?;
            let t = if self.turns { placed.turn(&t, self.window)? } else { t };
            anyhow::Ok(t.contiguous()?)
        };
        let (query, key) = (turned(query, &self.query_norm)?, turned(key, &self.key_norm)?);
        // The queries that share a key head are stacked into one taller matrix: nothing is repeated in memory.
        let stacked = heads / kv_heads * length;
        let query = query.reshape((batch, kv_heads, stacked, size))?;
        let scores = (query.matmul(&key.t()?)? * spec.attention_scale)?;
        let scores = scores.reshape((batch, heads, length, length))?;
        let scores = scores.broadcast_add(placed.added(self.window)?)?;
        let weights = softmax(&scores, placed.gradient)?;
        let weights = weights.reshape((batch, kv_heads, stacked, length))?;
        let mixed = weights.matmul(&value.contiguous()?)?;
        let mixed = mixed.reshape((batch, heads, length, size))?.transpose(1, 2)?;
        self.output.forward(&mixed.contiguous()?.reshape((batch, length, heads * size))?)
    }
}

struct Step {
    norm: Normed,
    after: Option<Normed>,
}

pub(super) struct Block {
    attention: Attention,
    attending: Step,
    gate: Option<Projection>,
    up: Projection,
    down: Projection,
    feeding: Step,
}

impl Block {
    pub(super) fn load(parameters: &mut Parameters<'_>, spec: &Spec, layer: usize) -> Result<Self> {
        let family = spec.family;
        let full = |part: &str| family.own(&format!("model.layers.{layer}.{part}"));
        let attention = Attention::load(parameters, spec, layer)?;
        let mut step = |norm: &str, after: &str| {
            let mut load = |part: &str| parameters.norm(&full(part), spec.width);
            let norm = load(norm)?;
            anyhow::Ok(Step { norm, after: family.has(after).then(|| load(after)).transpose()? })
        };
        let attending = step("input_layernorm", "attention_after_norm")?;
        let feeding = step("post_attention_layernorm", "feed_after_norm")?;
        let mut linear = |part: &str, shape| parameters.linear(&full(part), shape, spec.feed_bias);
        let wide = [spec.feed, spec.width];
        Ok(Self {
            attention,
            attending,
            gate: family.is_like_llama().then(|| linear("mlp.gate_proj", wide)).transpose()?,
            up: linear("mlp.up_proj", wide)?,
            down: linear("mlp.down_proj", [spec.width, spec.feed])?,
            feeding,
        })
    }

    pub(super) fn forward(&self, x: &Tensor, spec: &Spec, placed: &Placed) -> Result<Tensor> {
        let attend = |x: &Tensor| self.attention.forward(x, spec, placed);
        let x = self.attending.around(x, spec, attend)?;
        self.feeding.around(&x, spec, |x| {
            let up = self.up.forward(x)?;
            let inner = match &self.gate {
                Some(gate) => (spec.activation.forward(&gate.forward(x)?)? * up)?,
                None => spec.activation.forward(&up)?,
            };
            self.down.forward(&inner)
        })
    }
}

impl Step {
    /// The step `run` with its norms and its residual.
    fn around(
        &self,
        x: &Tensor,
        spec: &Spec,
        run: impl FnOnce(&Tensor) -> Result<Tensor>,
    ) -> Result<Tensor> {
        if !spec.pre_norm {
            return self.norm.forward(&(x + run(x)?)?);
        }
        let normed = self.norm.forward(x)?;
        let mut given = run(&normed)?;
        if let Some(after) = &self.after {
            given = after.forward(&given)?;
        }
        Ok(if spec.residual_after_norm { (normed + given)? } else { (x + given)? })
    }
}

//! Self-attention: queries, keys and values, heads that share keys, and what the positions add.

use candle_core::Tensor;

use super::position::Placed;
use crate::teacher::TeacherError;
use crate::teacher::llm::config::architecture::{Family, Spec};
use crate::teacher::llm::layers::{Normed, softmax};
use crate::teacher::llm::linear::Projection;
use crate::teacher::llm::parameters::Parameters;

enum Inputs {
    Apart {
        query: Projection,
        key: Projection,
        value: Projection,
    },
    /// One matrix; rows are heads x (query, key, value) x head width.
    Fused(Projection),
}

pub(super) struct Attention {
    inputs: Inputs,
    query_norm: Option<Normed>,
    key_norm: Option<Normed>,
    output: Projection,
    heads: usize,
    kv_heads: usize,
    head_width: usize,
    scale: f64,
    window: Option<usize>,
}

impl Attention {
    pub(super) fn load(
        parameters: &mut Parameters<'_>,
        spec: &Spec,
        layer: usize,
        name: &str,
    ) -> Result<Self, TeacherError> {
        let width = spec.width;
        let (inner, kv) = (spec.heads * spec.head_width, spec.kv_heads * spec.head_width);
        let mut linear =
            |part: &str, shape, bias| parameters.linear(&format!("{name}.{part}"), shape, bias);
        let (inputs, output) = match spec.family {
            Family::Bloom => (
                Inputs::Fused(linear("query_key_value", (3 * inner, width), spec.qkv_bias)?),
                linear("dense", (width, inner), spec.output_bias)?,
            ),
            family => {
                let query = linear("q_proj", (inner, width), spec.qkv_bias)?;
                let key = linear("k_proj", (kv, width), spec.qkv_bias)?;
                let value = linear("v_proj", (kv, width), spec.qkv_bias)?;
                let last = if family == Family::Opt { "out_proj" } else { "o_proj" };
                let output = linear(last, (width, inner), spec.output_bias)?;
                (Inputs::Apart { query, key, value }, output)
            }
        };
        let mut norm = |part: &str| match spec.family {
            Family::Qwen3 | Family::Gemma3 => {
                Normed::load(parameters, &format!("{name}.{part}"), spec.head_width, spec.norm)
                    .map(Some)
            }
            _ => Ok(None),
        };
        Ok(Self {
            inputs,
            query_norm: norm("q_norm")?,
            key_norm: norm("k_norm")?,
            output,
            heads: spec.heads,
            kv_heads: spec.kv_heads,
            head_width: spec.head_width,
            scale: spec.attention_scale,
            window: spec.windows.get(layer).copied().flatten(),
        })
    }

    pub(super) fn forward(&self, x: &Tensor, placed: &Placed) -> Result<Tensor, TeacherError> {
        let (batch, length, _) = x.dims3()?;
        let size = self.head_width;
        let split =
            |t: Tensor, heads: usize| t.reshape((batch, length, heads, size))?.transpose(1, 2);
        let (query, key, value) = match &self.inputs {
            Inputs::Apart { query, key, value } => (
                split(query.forward(x)?, self.heads)?,
                split(key.forward(x)?, self.kv_heads)?,
                split(value.forward(x)?, self.kv_heads)?,
            ),
            Inputs::Fused(all) => {
                let all = all.forward(x)?.reshape((batch, length, self.heads, 3, size))?;
                let part = |i| all.narrow(3, i, 1)?.squeeze(3)?.transpose(1, 2);
                (part(0)?, part(1)?, part(2)?)
            }
        };
        let normed = |t: Tensor, norm: &Option<Normed>| match norm {
            Some(norm) => norm.forward(&t, placed.gradient),
            None => Ok(t),
        };
        let query = placed.turn(&normed(query, &self.query_norm)?, self.window)?.contiguous()?;
        let key = placed.turn(&normed(key, &self.key_norm)?, self.window)?.contiguous()?;
        // The queries that share a key head are stacked into one taller matrix: nothing is repeated in memory.
        let shared = self.heads / self.kv_heads;
        let query = query.reshape((batch, self.kv_heads, shared * length, size))?;
        let scores = (query.matmul(&key.t()?)? * self.scale)?;
        let scores = scores
            .reshape((batch, self.heads, length, length))?
            .broadcast_add(placed.added(self.window)?)?;
        let weights = softmax(&scores, placed.gradient)?.reshape((
            batch,
            self.kv_heads,
            shared * length,
            length,
        ))?;
        let mixed = weights.matmul(&value.contiguous()?)?;
        let mixed = mixed.reshape((batch, self.heads, length, size))?.transpose(1, 2)?;
        self.output.forward(&mixed.contiguous()?.reshape((batch, length, self.heads * size))?)
    }
}

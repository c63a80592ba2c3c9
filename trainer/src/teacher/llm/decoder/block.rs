//! One decoder layer: attention and feed-forward, each with its norms and its residual.

use candle_core::Tensor;

use super::attention::Attention;
use super::position::Placed;
use crate::teacher::TeacherError;
use crate::teacher::llm::config::architecture::{Activation, Family, Spec};
use crate::teacher::llm::layers::Normed;
use crate::teacher::llm::linear::Projection;
use crate::teacher::llm::parameters::Parameters;

struct Names {
    layer: String,
    attention: &'static str,
    attention_norm: &'static str,
    feed_norm: &'static str,
    /// Norms of what a step gives, in the families that have them.
    after: Option<[&'static str; 2]>,
    /// The gate if any, then the matrix in and the matrix out.
    feed: [Option<&'static str>; 3],
}

impl Names {
    fn of(family: Family, layer: usize) -> Self {
        let llama = Self {
            layer: format!("model.layers.{layer}"),
            attention: "self_attn",
            attention_norm: "input_layernorm",
            feed_norm: "post_attention_layernorm",
            after: None,
            feed: [Some("mlp.gate_proj"), Some("mlp.up_proj"), Some("mlp.down_proj")],
        };
        match family {
            Family::Llama | Family::Qwen2 | Family::Qwen3 => llama,
            Family::Gemma3 => Self {
                feed_norm: "pre_feedforward_layernorm",
                after: Some(["post_attention_layernorm", "post_feedforward_layernorm"]),
                ..llama
            },
            Family::Opt => Self {
                layer: format!("model.decoder.layers.{layer}"),
                attention_norm: "self_attn_layer_norm",
                feed_norm: "final_layer_norm",
                feed: [None, Some("fc1"), Some("fc2")],
                ..llama
            },
            Family::Bloom => Self {
                layer: format!("transformer.h.{layer}"),
                attention: "self_attention",
                feed: [None, Some("mlp.dense_h_to_4h"), Some("mlp.dense_4h_to_h")],
                ..llama
            },
        }
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
    activation: Activation,
    pre_norm: bool,
    residual_after_norm: bool,
}

impl Block {
    pub(super) fn load(
        parameters: &mut Parameters<'_>,
        spec: &Spec,
        layer: usize,
    ) -> Result<Self, TeacherError> {
        let names = Names::of(spec.family, layer);
        let full = |part: &str| format!("{}.{part}", names.layer);
        let attention = Attention::load(parameters, spec, layer, &full(names.attention))?;
        let mut step = |norm: &str, after: Option<&str>| {
            let after = match after {
                Some(name) => Some(Normed::load(parameters, &full(name), spec.width, spec.norm)?),
                None => None,
            };
            let norm = Normed::load(parameters, &full(norm), spec.width, spec.norm)?;
            Ok::<_, TeacherError>(Step { norm, after })
        };
        let attending = step(names.attention_norm, names.after.map(|a| a[0]))?;
        let feeding = step(names.feed_norm, names.after.map(|a| a[1]))?;
        let mut linear = |name: &str, shape| parameters.linear(&full(name), shape, spec.feed_bias);
        let [gate, up, down] = names.feed;
        let gate = match gate {
            Some(name) => Some(linear(name, (spec.feed, spec.width))?),
            None => None,
        };
        Ok(Self {
            attention,
            attending,
            gate,
            up: linear(up.unwrap_or_default(), (spec.feed, spec.width))?,
            down: linear(down.unwrap_or_default(), (spec.width, spec.feed))?,
            feeding,
            activation: spec.activation,
            pre_norm: spec.pre_norm,
            residual_after_norm: spec.residual_after_norm,
        })
    }

    pub(super) fn forward(&self, x: &Tensor, placed: &Placed) -> Result<Tensor, TeacherError> {
        let gradient = placed.gradient;
        let x = self.around(x, &self.attending, gradient, |x| self.attention.forward(x, placed))?;
        self.around(&x, &self.feeding, gradient, |x| self.feed(x))
    }

    fn around(
        &self,
        x: &Tensor,
        step: &Step,
        gradient: bool,
        run: impl FnOnce(&Tensor) -> Result<Tensor, TeacherError>,
    ) -> Result<Tensor, TeacherError> {
        if !self.pre_norm {
            return step.norm.forward(&(x + run(x)?)?, gradient);
        }
        let normed = step.norm.forward(x, gradient)?;
        let mut given = run(&normed)?;
        if let Some(after) = &step.after {
            given = after.forward(&given, gradient)?;
        }
        Ok(if self.residual_after_norm { (normed + given)? } else { (x + given)? })
    }

    fn feed(&self, x: &Tensor) -> Result<Tensor, TeacherError> {
        let up = self.up.forward(x)?;
        let inner = match &self.gate {
            Some(gate) => (self.activation.apply(&gate.forward(x)?)? * up)?,
            None => self.activation.apply(&up)?,
        };
        self.down.forward(&inner)
    }
}

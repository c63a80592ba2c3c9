//! Encoders of the BERT kind: names and sizes of BERT, `MiniLM` and `DistilBERT`.

use super::architecture::Activation;
use super::json::{JsonObject, activation};
use crate::teacher::TeacherError;

#[derive(Debug, Clone, PartialEq)]
pub struct EncoderSpec {
    /// True for `DistilBERT`'s names and its lack of segments.
    pub distilled: bool,
    pub vocabulary: usize,
    pub width: usize,
    pub depth: usize,
    pub heads: usize,
    pub feed: usize,
    pub context: usize,
    pub segments: usize,
    pub epsilon: f64,
    pub activation: Activation,
}

impl EncoderSpec {
    /// Reads a `config.json` of model type `bert` or `distilbert`.
    pub fn read(keys: &JsonObject, distilled: bool) -> Result<Self, TeacherError> {
        let count = |bert: &str, other: &str| keys.count(if distilled { other } else { bert });
        if !matches!(keys.text("position_embedding_type")?, None | Some("absolute")) {
            return Err(keys.refuse("only absolute position embeddings are supported"));
        }
        let spec = Self {
            distilled,
            vocabulary: keys.count("vocab_size")?,
            width: count("hidden_size", "dim")?,
            depth: count("num_hidden_layers", "n_layers")?,
            heads: count("num_attention_heads", "n_heads")?,
            feed: count("intermediate_size", "hidden_dim")?,
            context: keys.count("max_position_embeddings")?,
            segments: if distilled { 0 } else { keys.count_or("type_vocab_size", 2)? },
            epsilon: if distilled { 1e-12 } else { keys.real_or("layer_norm_eps", 1e-12)? },
            activation: activation(
                keys,
                if distilled { "activation" } else { "hidden_act" },
                "gelu",
            )?,
        };
        if spec.heads == 0 || !spec.width.is_multiple_of(spec.heads) || spec.depth == 0 {
            let (width, heads) = (spec.width, spec.heads);
            return Err(keys.refuse(&format!("width {width} and {heads} heads do not go together")));
        }
        Ok(spec)
    }

    /// Prefix and parts of a layer: query, key, value, output, norm, then up, down, norm.
    pub fn layer(&self, layer: usize) -> (String, [&'static str; 8]) {
        match self.distilled {
            true => (
                format!("distilbert.transformer.layer.{layer}"),
                [
                    "attention.q_lin",
                    "attention.k_lin",
                    "attention.v_lin",
                    "attention.out_lin",
                    "sa_layer_norm",
                    "ffn.lin1",
                    "ffn.lin2",
                    "output_layer_norm",
                ],
            ),
            false => (
                format!("bert.encoder.layer.{layer}"),
                [
                    "attention.self.query",
                    "attention.self.key",
                    "attention.self.value",
                    "attention.output.dense",
                    "attention.output.LayerNorm",
                    "intermediate.dense",
                    "output.dense",
                    "output.LayerNorm",
                ],
            ),
        }
    }
}

//! What a model is made of: sizes, switches and names of tensors of one architecture, without a single weight.

use candle_nn::Activation;

pub const SUPPORTED: &str = "llama, mistral, phi3, smollm3, qwen2, qwen3, gemma3_text, opt, bloom; as encoders bert, distilbert, roberta and xlm-roberta; as GGUF llama, qwen2, qwen3";

/// A family of models that share names of tensors and the order of a layer's steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// Llama, Mistral, Phi 3 (its matrices joined) and `SmolLM` 3 (some layers without positions).
    Llama,
    /// Qwen 2 and 2.5: a llama with biases on query, key and value.
    Qwen2,
    /// Qwen 3: a llama with normed queries and keys.
    Qwen3,
    /// The text part of Gemma 3: norms on both sides of a step, near and far layers.
    Gemma3,
    Opt,
    Bloom,
    /// BERT and MiniLM: an encoder, in which every token sees every other.
    Bert,
    /// `RoBERTa`, of many languages (XLM) too: BERT by other names, with positions from 2.
    Roberta,
    /// BERT without segments, under other names.
    DistilBert,
}

/// What a family calls parts of a model, by Llama's names for them (`self_attn.qkv_proj`, the extra norms, positions and
/// segments are none of Llama's).
pub type Names = &'static [(&'static str, &'static str)];

/// The name of a tensor, less its last part, in files of these names.
pub fn renamed(stem: &str, names: Names) -> String {
    let own = |part| names.iter().find(|name| name.0 == part).map_or(part, |name| name.1);
    match stem.strip_prefix("model.layers.").and_then(|rest| rest.split_once('.')) {
        Some((layer, part)) => format!("{}.{layer}.{}", own("model.layers"), own(part)),
        None => own(stem).to_owned(),
    }
}

impl Family {
    pub const fn is_encoder(self) -> bool {
        matches!(self, Self::Bert | Self::Roberta | Self::DistilBert)
    }

    /// Whether the feed-forward step has a gate, and norms divide by the root mean square alone: others centre and have a
    /// bias.
    pub const fn is_like_llama(self) -> bool {
        matches!(self, Self::Llama | Self::Qwen2 | Self::Qwen3 | Self::Gemma3)
    }

    /// Its own name of a tensor, less the last part.
    pub fn own(self, stem: &str) -> String {
        let name = renamed(stem, self.names());
        match name.strip_prefix("bert.") {
            Some(rest) if self == Self::Roberta => format!("roberta.{rest}"),
            _ => name,
        }
    }

    /// Whether it has a part that Llama has not.
    pub fn has(self, part: &str) -> bool {
        self.names().iter().any(|(name, _)| *name == part)
    }

    /// What the names of the inner model begin with.
    pub const fn inner(self) -> &'static str {
        match self {
            Self::Bloom => "transformer.",
            Self::Bert => "bert.",
            Self::Roberta => "roberta.",
            Self::DistilBert => "distilbert.",
            _ => "model.",
        }
    }

    /// The matrices that LoRA pairs stand beside unless others are named, by the last parts of their names.
    pub fn targets(self) -> Vec<String> {
        let parts = match self {
            Self::Bloom => ["self_attn.qkv_proj", "self_attn.o_proj"],
            _ => ["self_attn.q_proj", "self_attn.v_proj"],
        };
        parts.iter().map(|part| self.own(part).rsplit('.').take(1).collect()).collect()
    }

    const fn names(self) -> Names {
        match self {
            Self::Llama | Self::Qwen2 | Self::Qwen3 => &[],
            Self::Gemma3 => &[
                ("attention_after_norm", "post_attention_layernorm"),
                ("post_attention_layernorm", "pre_feedforward_layernorm"),
                ("feed_after_norm", "post_feedforward_layernorm"),
            ],
            Self::Opt => &[
                ("model.embed_tokens", "model.decoder.embed_tokens"),
                ("positions", "model.decoder.embed_positions"),
                ("model.norm", "model.decoder.final_layer_norm"),
                ("model.layers", "model.decoder.layers"),
                ("self_attn.o_proj", "self_attn.out_proj"),
                ("input_layernorm", "self_attn_layer_norm"),
                ("post_attention_layernorm", "final_layer_norm"),
                ("mlp.up_proj", "fc1"),
                ("mlp.down_proj", "fc2"),
            ],
            Self::Bloom => &[
                ("model.embed_tokens", "transformer.word_embeddings"),
                ("embedding_norm", "transformer.word_embeddings_layernorm"),
                ("model.norm", "transformer.ln_f"),
                ("model.layers", "transformer.h"),
                ("self_attn.qkv_proj", "self_attention.query_key_value"),
                ("self_attn.o_proj", "self_attention.dense"),
                ("mlp.up_proj", "mlp.dense_h_to_4h"),
                ("mlp.down_proj", "mlp.dense_4h_to_h"),
            ],
            Self::Bert | Self::Roberta => &[
                ("model.embed_tokens", "bert.embeddings.word_embeddings"),
                ("embedding_norm", "bert.embeddings.LayerNorm"),
                ("positions", "bert.embeddings.position_embeddings"),
                ("segments", "bert.embeddings.token_type_embeddings"),
                ("model.layers", "bert.encoder.layer"),
                ("self_attn.q_proj", "attention.self.query"),
                ("self_attn.k_proj", "attention.self.key"),
                ("self_attn.v_proj", "attention.self.value"),
                ("self_attn.o_proj", "attention.output.dense"),
                ("input_layernorm", "attention.output.LayerNorm"),
                ("post_attention_layernorm", "output.LayerNorm"),
                ("mlp.up_proj", "intermediate.dense"),
                ("mlp.down_proj", "output.dense"),
            ],
            Self::DistilBert => &[
                ("model.embed_tokens", "distilbert.embeddings.word_embeddings"),
                ("embedding_norm", "distilbert.embeddings.LayerNorm"),
                ("positions", "distilbert.embeddings.position_embeddings"),
                ("model.layers", "distilbert.transformer.layer"),
                ("self_attn.q_proj", "attention.q_lin"),
                ("self_attn.k_proj", "attention.k_lin"),
                ("self_attn.v_proj", "attention.v_lin"),
                ("self_attn.o_proj", "attention.out_lin"),
                ("input_layernorm", "sa_layer_norm"),
                ("post_attention_layernorm", "output_layer_norm"),
                ("mlp.up_proj", "ffn.lin1"),
                ("mlp.down_proj", "ffn.lin2"),
            ],
        }
    }
}

/// Rotation frequencies beyond the plain powers of the base.
#[derive(Debug, Clone, PartialEq)]
pub enum Stretch {
    None,
    Linear(f64),
    /// Llama 3: slow ones divided by the factor, quick ones left, a ramp between.
    Llama3 {
        factor: f64,
        /// Turns within the original context below which a frequency is slow.
        low: f64,
        high: f64,
        /// The context the model was first trained on, tokens.
        original: f64,
    },
    /// One divisor a frequency, as GGUF files carry them.
    Divisors(Vec<f32>),
}

/// Where a token stands, as the model is told.
#[derive(Debug, Clone, PartialEq)]
pub enum Position {
    Rotary {
        /// Base of the frequencies in layers that see everything.
        base: f64,
        stretch: Stretch,
        local_base: f64,
    },
    Learned {
        offset: usize,
    },
    /// Attention scores fall with distance, each head by its own slope (Press et al., 2022).
    Slopes,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Spec {
    pub family: Family,
    pub vocabulary: usize,
    pub width: usize,
    /// Length of a token's embedding, where it differs from [`Self::width`] (OPT-350m).
    pub embedding_width: usize,
    pub depth: usize,
    pub heads: usize,
    pub kv_heads: usize,
    pub head_width: usize,
    /// Length between the matrices of the feed-forward step.
    pub feed: usize,
    pub epsilon: f64,
    /// True when a step norms what it reads, false when it norms its sum with the residual.
    pub pre_norm: bool,
    pub final_norm: bool,
    /// The function between the matrices of the feed-forward step.
    pub activation: Activation,
    pub position: Position,
    pub attention_scale: f64,
    /// For each layer, how many tokens back it sees, itself included; `None` for all.
    pub windows: Vec<Option<usize>>,
    /// Layers whose queries and keys are not turned by their positions.
    pub unturned: Vec<usize>,
    pub qkv_bias: bool,
    pub output_bias: bool,
    pub feed_bias: bool,
    pub embedding_scale: f64,
    /// True when the residual of a step is what its norm gave rather than what it read (some BLOOM).
    pub residual_after_norm: bool,
    pub tied: bool,
    pub context: usize,
    /// Rows of the table of segments, of which texts have the first.
    pub segments: usize,
}

impl Spec {
    /// A model of these sizes with the switches that most families share.
    pub fn plain(
        family: Family,
        [vocabulary, width, depth, heads, feed, context]: [usize; 6],
        epsilon: f64,
        position: Position,
    ) -> Self {
        let head_width = width / heads.max(1);
        Self {
            family,
            vocabulary,
            width,
            embedding_width: width,
            depth,
            heads,
            kv_heads: heads,
            head_width,
            feed,
            epsilon,
            pre_norm: true,
            final_norm: true,
            activation: Activation::Silu,
            position,
            attention_scale: (head_width as f64).powf(-0.5),
            windows: vec![None; depth],
            unturned: Vec::new(),
            qkv_bias: false,
            output_bias: false,
            feed_bias: false,
            embedding_scale: 1.0,
            residual_after_norm: false,
            tied: true,
            context,
            segments: 0,
        }
    }

    pub fn fault(&self) -> Option<String> {
        let (width, heads, keys) = (self.width, self.heads, self.kv_heads);
        if self.vocabulary == 0 || width == 0 || self.depth == 0 || self.feed == 0 {
            return Some("a size is 0".into());
        }
        let turned = matches!(self.position, Position::Rotary { .. });
        let whole = heads > 0 && (turned || width.is_multiple_of(heads));
        if !whole || keys == 0 || !heads.is_multiple_of(keys) || self.head_width == 0 {
            return Some(format!(
                "width {width}, {heads} heads and {keys} key heads do not go together"
            ));
        }
        if turned && !self.head_width.is_multiple_of(2) {
            return Some(format!("heads of odd width {} cannot be rotated", self.head_width));
        }
        (self.windows.len() != self.depth)
            .then(|| format!("names {} layer types for {} layers", self.windows.len(), self.depth))
    }
}

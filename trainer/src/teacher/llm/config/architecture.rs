//! What a model is made of: sizes, switches and names of tensors of one architecture, without a single weight.

/// The families, as an error lists them.
pub const SUPPORTED: &str = "llama, qwen2, qwen3, gemma3_text, opt, bloom; as encoders bert and distilbert; as GGUF llama, qwen2, qwen3";

/// A family of models that share names of tensors and the order of a layer's steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
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
    /// BERT without segments, under other names.
    DistilBert,
}

/// What a family calls its tensors; those of a layer stand behind `layers` and its number.
#[derive(Clone, Copy)]
pub struct Names {
    /// The inner model in a checkpoint.
    pub inner: &'static str,
    pub embedding: &'static str,
    pub embedding_norm: Option<&'static str>,
    /// Learned positions and segments, in the families that have them.
    pub positions: &'static str,
    pub segments: &'static str,
    pub last_norm: &'static str,
    pub layers: &'static str,
    pub attention: &'static str,
    /// Query, key and value, or one matrix of all three.
    pub inputs: &'static [&'static str],
    pub output: &'static str,
    pub attention_norm: &'static str,
    pub feed_norm: &'static str,
    /// Norms of what a step gives, in the families that have them.
    pub after: Option<[&'static str; 2]>,
    pub gate: Option<&'static str>,
    pub up: &'static str,
    pub down: &'static str,
    /// The matrices that LoRA pairs stand beside unless others are named.
    pub targets: [&'static str; 2],
}

const LLAMA: Names = Names {
    inner: "model",
    embedding: "model.embed_tokens",
    embedding_norm: None,
    positions: "",
    segments: "",
    last_norm: "model.norm",
    layers: "model.layers",
    attention: "self_attn",
    inputs: &["q_proj", "k_proj", "v_proj"],
    output: "o_proj",
    attention_norm: "input_layernorm",
    feed_norm: "post_attention_layernorm",
    after: None,
    gate: Some("mlp.gate_proj"),
    up: "mlp.up_proj",
    down: "mlp.down_proj",
    targets: ["q_proj", "v_proj"],
};

impl Family {
    pub const fn is_encoder(self) -> bool {
        matches!(self, Self::Bert | Self::DistilBert)
    }

    pub const fn names(self) -> Names {
        match self {
            Self::Llama | Self::Qwen2 | Self::Qwen3 => LLAMA,
            Self::Gemma3 => Names {
                feed_norm: "pre_feedforward_layernorm",
                after: Some(["post_attention_layernorm", "post_feedforward_layernorm"]),
                ..LLAMA
            },
            Self::Opt => Names {
                embedding: "model.decoder.embed_tokens",
                positions: "model.decoder.embed_positions",
                last_norm: "model.decoder.final_layer_norm",
                layers: "model.decoder.layers",
                output: "out_proj",
                attention_norm: "self_attn_layer_norm",
                feed_norm: "final_layer_norm",
                gate: None,
                up: "fc1",
                down: "fc2",
                ..LLAMA
            },
            Self::Bloom => Names {
                inner: "transformer",
                embedding: "transformer.word_embeddings",
                embedding_norm: Some("transformer.word_embeddings_layernorm"),
                last_norm: "transformer.ln_f",
                layers: "transformer.h",
                attention: "self_attention",
                inputs: &["query_key_value"],
                output: "dense",
                gate: None,
                up: "mlp.dense_h_to_4h",
                down: "mlp.dense_4h_to_h",
                targets: ["query_key_value", "dense"],
                ..LLAMA
            },
            Self::Bert => Names {
                inner: "bert",
                embedding: "bert.embeddings.word_embeddings",
                embedding_norm: Some("bert.embeddings.LayerNorm"),
                positions: "bert.embeddings.position_embeddings",
                segments: "bert.embeddings.token_type_embeddings",
                layers: "bert.encoder.layer",
                attention: "attention",
                inputs: &["self.query", "self.key", "self.value"],
                output: "output.dense",
                attention_norm: "attention.output.LayerNorm",
                feed_norm: "output.LayerNorm",
                gate: None,
                up: "intermediate.dense",
                down: "output.dense",
                targets: ["query", "value"],
                ..LLAMA
            },
            Self::DistilBert => Names {
                inner: "distilbert",
                embedding: "distilbert.embeddings.word_embeddings",
                embedding_norm: Some("distilbert.embeddings.LayerNorm"),
                positions: "distilbert.embeddings.position_embeddings",
                layers: "distilbert.transformer.layer",
                attention: "attention",
                inputs: &["q_lin", "k_lin", "v_lin"],
                output: "out_lin",
                attention_norm: "sa_layer_norm",
                feed_norm: "output_layer_norm",
                gate: None,
                up: "ffn.lin1",
                down: "ffn.lin2",
                targets: ["q_lin", "v_lin"],
                ..LLAMA
            },
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Norm {
    /// Divided by their root mean square, times the weight.
    Rms {
        epsilon: f64,
        /// True where the file holds the weight less 1.
        plus_one: bool,
    },
    /// Centred and divided by the standard deviation, times weight, plus bias.
    Layer { epsilon: f64 },
}

/// The function between the matrices of the feed-forward step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    Silu,
    /// Gaussian error linear unit, by its hyperbolic tangent.
    GeluTanh,
    Gelu,
    Relu,
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
    pub norm: Norm,
    /// True when a step norms what it reads, false when it norms its sum with the residual.
    pub pre_norm: bool,
    pub final_norm: bool,
    pub activation: Activation,
    pub position: Position,
    pub attention_scale: f64,
    /// For each layer, how many tokens back it sees, itself included; `None` for all.
    pub windows: Vec<Option<usize>>,
    pub qkv_bias: bool,
    pub output_bias: bool,
    pub feed_bias: bool,
    pub embedding_scale: f64,
    /// True when the residual of a step is what its norm gave rather than what it read (some BLOOM).
    pub residual_after_norm: bool,
    /// True when the output matrix is the embedding's.
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
        norm: Norm,
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
            norm,
            pre_norm: true,
            final_norm: true,
            activation: Activation::Silu,
            position,
            attention_scale: (head_width as f64).powf(-0.5),
            windows: vec![None; depth],
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

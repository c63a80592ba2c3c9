//! What a decoder is made of: sizes and switches of one architecture, without a single weight.

/// A family of decoders that share names of tensors and the order of a layer's steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// Llama 2 and 3, `SmolLM2`, `TinyLlama`.
    Llama,
    /// Qwen 2 and 2.5: a llama with biases on query, key and value.
    Qwen2,
    /// Qwen 3: a llama with normed queries and keys.
    Qwen3,
    /// The text part of Gemma 3: norms on both sides of a step, near and far layers.
    Gemma3,
    /// OPT: learned positions, two-matrix feed-forward, biases everywhere.
    Opt,
    /// BLOOM and BLOOMZ: positions as a slope on the attention scores.
    Bloom,
}

/// How states are normed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Norm {
    /// Divided by their root mean square, times the weight.
    Rms {
        /// Added under the root.
        epsilon: f64,
        /// True where the file holds the weight less 1.
        plus_one: bool,
    },
    /// Centred and divided by the standard deviation, times weight, plus bias.
    Layer {
        /// Added under the root.
        epsilon: f64,
    },
}

/// The function between the matrices of the feed-forward step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    /// `x sigmoid(x)`.
    Silu,
    /// Gaussian error linear unit, by its hyperbolic tangent.
    GeluTanh,
    /// Gaussian error linear unit, exact.
    Gelu,
    /// Positive part.
    Relu,
}

/// Rotation frequencies beyond the plain powers of the base.
#[derive(Debug, Clone, PartialEq)]
pub enum Stretch {
    /// As they are.
    None,
    /// All divided by a factor.
    Linear(f64),
    /// Llama 3: slow ones divided by the factor, quick ones left, a ramp between.
    Llama3 {
        /// Divides the slow ones.
        factor: f64,
        /// Turns within the original context below which a frequency is slow.
        low: f64,
        /// Turns above which it is quick.
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
    /// Queries and keys are rotated.
    Rotary {
        /// Base of the frequencies in layers that see everything.
        base: f64,
        /// Change to those frequencies.
        stretch: Stretch,
        /// Base in layers with a window.
        local_base: f64,
    },
    /// A learned vector is added to the embedding.
    Learned {
        /// Row of position 0.
        offset: usize,
    },
    /// Attention scores fall with distance, each head by its own slope (Press et al., 2022).
    Slopes,
}

/// The decoder's sizes and switches.
#[derive(Debug, Clone, PartialEq)]
pub struct Spec {
    /// Family, which decides the tensors' names.
    pub family: Family,
    /// Rows of the token embedding.
    pub vocabulary: usize,
    /// Length of a hidden state.
    pub width: usize,
    /// Length of a token's embedding, where it differs from [`Self::width`] (OPT-350m).
    pub embedding_width: usize,
    /// Decoder layers.
    pub depth: usize,
    /// Query heads.
    pub heads: usize,
    /// Key and value heads; divides [`Self::heads`].
    pub kv_heads: usize,
    /// Length of one head's vectors.
    pub head_width: usize,
    /// Length between the matrices of the feed-forward step.
    pub feed: usize,
    /// Norm of every place.
    pub norm: Norm,
    /// True when a step norms what it reads, false when it norms its sum with the residual.
    pub pre_norm: bool,
    /// True when a last norm follows the last layer.
    pub final_norm: bool,
    /// Feed-forward function.
    pub activation: Activation,
    /// Positions.
    pub position: Position,
    /// Multiplies the attention scores.
    pub attention_scale: f64,
    /// For each layer, how many tokens back it sees, itself included; `None` for all.
    pub windows: Vec<Option<usize>>,
    /// Biases on query, key and value.
    pub qkv_bias: bool,
    /// Bias on attention's output matrix.
    pub output_bias: bool,
    /// Biases on the feed-forward matrices.
    pub feed_bias: bool,
    /// Multiplies the embedding.
    pub embedding_scale: f64,
    /// True when the residual of a step is what its norm gave rather than what it read (some BLOOM).
    pub residual_after_norm: bool,
    /// True when the output matrix is the embedding's.
    pub tied: bool,
    /// Most tokens the model was made for.
    pub context: usize,
}

impl Spec {
    /// True when layers with a window turn as the others do: all families but Gemma 3.
    pub(crate) fn near_turns_alike(&self) -> bool {
        self.family != Family::Gemma3
    }

    /// What is wrong with the sizes, if anything.
    pub fn fault(&self) -> Option<String> {
        let (width, heads, keys) = (self.width, self.heads, self.kv_heads);
        if self.vocabulary == 0 || width == 0 || self.depth == 0 || self.feed == 0 {
            return Some("a size is 0".into());
        }
        if heads == 0 || keys == 0 || !heads.is_multiple_of(keys) || self.head_width == 0 {
            return Some(format!(
                "width {width}, {heads} heads and {keys} key heads do not go together"
            ));
        }
        let turned = matches!(self.position, Position::Rotary { .. });
        if turned && !self.head_width.is_multiple_of(2) {
            return Some(format!("heads of odd width {} cannot be rotated", self.head_width));
        }
        (self.windows.len() != self.depth)
            .then(|| format!("names {} layer types for {} layers", self.windows.len(), self.depth))
    }
}

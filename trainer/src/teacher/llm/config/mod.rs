//! A folder's `config.json` read into an architecture, in the wordings of transformers 4 and 5.

pub mod architecture;
pub mod json;

use crate::teacher::Result;
use crate::teacher::llm::config::architecture::{
    Activation, EncoderSpec, Family, Norm, Position, SUPPORTED, Spec, Stretch,
};
use crate::teacher::llm::config::json::JsonObject;

#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    Decoder(Spec),
    Encoder(EncoderSpec),
}

impl Kind {
    pub fn read(config: &JsonObject) -> Result<Self> {
        let model_type = config.text("model_type")?.unwrap_or_default();
        let spec = match model_type {
            "llama" => rotary(Family::Llama, config)?,
            "qwen2" => rotary(Family::Qwen2, config)?,
            "qwen3" => rotary(Family::Qwen3, config)?,
            "gemma3_text" => rotary(Family::Gemma3, config)?,
            "opt" => opt(config)?,
            "bloom" => bloom(config)?,
            "bert" | "distilbert" => {
                return encoder(config, model_type == "distilbert").map(Self::Encoder);
            }
            _ => {
                return Err(config.refuse(&format!(
                    "model type `{model_type}` is not supported; these are: {SUPPORTED}"
                )));
            }
        };
        match spec.fault() {
            Some(fault) => Err(config.refuse(&fault)),
            None => Ok(Self::Decoder(spec)),
        }
    }

    pub fn context(&self) -> usize {
        match self {
            Self::Decoder(spec) => spec.context,
            Self::Encoder(spec) => spec.context,
        }
    }

    pub fn vocabulary(&self) -> usize {
        match self {
            Self::Decoder(spec) => spec.vocabulary,
            Self::Encoder(spec) => spec.vocabulary,
        }
    }

    /// Name of the inner model in a checkpoint.
    pub fn inner(&self) -> &'static str {
        match self {
            Self::Decoder(spec) => spec.family.names().inner,
            Self::Encoder(spec) => spec.inner(),
        }
    }
}

/// Decoders with rotary positions: Llama, Qwen 2 and 3, Gemma 3.
fn rotary(family: Family, keys: &JsonObject) -> Result<Spec> {
    let (width, heads) = (keys.count("hidden_size")?, keys.count("num_attention_heads")?);
    let (depth, gemma) = (keys.count("num_hidden_layers")?, family == Family::Gemma3);
    let head_width = keys.count_or("head_dim", if gemma { 256 } else { width / heads.max(1) })?;
    let scaled = match gemma {
        true => keys.real_or("query_pre_attn_scalar", 256.0)?,
        false => head_width as f64,
    };
    for cap in ["attn_logit_softcapping", "final_logit_softcapping"] {
        if keys.has(cap) {
            return Err(keys.refuse(&format!("`{cap}` is not supported")));
        }
    }
    let bias = keys.flag_or("attention_bias", family == Family::Qwen2)?;
    let sizes = [
        keys.count("vocab_size")?,
        width,
        depth,
        heads,
        keys.count("intermediate_size")?,
        keys.count_or("max_position_embeddings", 2048)?,
    ];
    let norm = Norm::Rms { epsilon: keys.real_or("rms_norm_eps", 1e-6)?, plus_one: gemma };
    let position = rotation(keys, if gemma { 1e6 } else { 1e4 })?;
    Ok(Spec {
        kv_heads: keys.count_or("num_key_value_heads", heads)?,
        head_width,
        activation: match gemma {
            true => activation(keys, "hidden_activation", "gelu_pytorch_tanh")?,
            false => activation(keys, "hidden_act", "silu")?,
        },
        attention_scale: scaled.powf(-0.5),
        windows: windows(family, keys, depth)?,
        qkv_bias: bias,
        output_bias: bias && family != Family::Qwen2,
        feed_bias: keys.flag_or("mlp_bias", false)?,
        embedding_scale: if gemma { (width as f64).sqrt() } else { 1.0 },
        tied: keys.flag_or("tie_word_embeddings", gemma)?,
        ..Spec::plain(family, sizes, norm, position)
    })
}

/// Frequencies: `rope_parameters` since transformers 5 (one set, or one a kind of layer), before that `rope_theta`
/// and `rope_scaling`.
fn rotation(keys: &JsonObject, default: f64) -> Result<Position> {
    let all = keys.child("rope_parameters")?;
    let Some(all) = all else {
        let base = keys.real_or("rope_theta", default)?;
        let stretch = match keys.child("rope_scaling")? {
            Some(scaling) => stretch(&scaling)?,
            None => Stretch::None,
        };
        let local_base =
            keys.real_or("rope_local_base_freq", if default > 1e5 { 1e4 } else { base })?;
        return Ok(Position::Rotary { base, stretch, local_base });
    };
    let local = all.child("sliding_attention")?;
    let far = all.child("full_attention")?.unwrap_or(all);
    let base = far.real_or("rope_theta", default)?;
    let local_base = match local {
        Some(local) => local.real_or("rope_theta", 1e4)?,
        None => base,
    };
    Ok(Position::Rotary { base, stretch: stretch(&far)?, local_base })
}

fn stretch(keys: &JsonObject) -> Result<Stretch> {
    let kind = match keys.text("rope_type")? {
        Some(kind) => kind,
        None => keys.text("type")?.unwrap_or("default"),
    };
    match kind {
        "default" => Ok(Stretch::None),
        "linear" => Ok(Stretch::Linear(keys.real("factor")?)),
        "llama3" => Ok(Stretch::Llama3 {
            factor: keys.real("factor")?,
            low: keys.real("low_freq_factor")?,
            high: keys.real("high_freq_factor")?,
            original: keys.real("original_max_position_embeddings")?,
        }),
        other => Err(keys.refuse(&format!(
            "rope type `{other}` is not supported; default, linear and llama3 are"
        ))),
    }
}

/// How far each layer sees: by `layer_types` where given, else by the family's older keys.
fn windows(family: Family, keys: &JsonObject, depth: usize) -> Result<Vec<Option<usize>>> {
    let gemma = family == Family::Gemma3;
    let slides = match family {
        Family::Gemma3 => true,
        Family::Qwen2 | Family::Qwen3 => keys.flag_or("use_sliding_window", false)?,
        _ => false,
    };
    if !slides {
        return Ok(vec![None; depth]);
    }
    let window = match keys.has("sliding_window") {
        true => Some(keys.count("sliding_window")?),
        false => gemma.then_some(4096),
    };
    if let Some(types) = keys.list("layer_types")? {
        let see = |kind: &str| match kind {
            "sliding_attention" => Ok(window),
            "full_attention" => Ok(None),
            other => Err(keys.refuse(&format!("layer type `{other}` is not supported"))),
        };
        return types.into_iter().map(see).collect();
    }
    let near: Box<dyn Fn(usize) -> bool> = if gemma {
        let every = keys.count_or("sliding_window_pattern", 6)?.max(1);
        Box::new(move |layer| !(layer + 1).is_multiple_of(every))
    } else {
        let first = keys.count_or("max_window_layers", depth)?;
        Box::new(move |layer| layer >= first)
    };
    Ok((0..depth).map(|layer| window.filter(|_| near(layer))).collect())
}

/// OPT: learned positions, a feed-forward step of two matrices, biases everywhere.
fn opt(keys: &JsonObject) -> Result<Spec> {
    let width = keys.count("hidden_size")?;
    if !keys.flag_or("layer_norm_elementwise_affine", true)? {
        return Err(keys.refuse("norms without weights are not supported"));
    }
    let (pre_norm, bias) =
        (keys.flag_or("do_layer_norm_before", true)?, keys.flag_or("enable_bias", true)?);
    let sizes = [
        keys.count("vocab_size")?,
        width,
        keys.count("num_hidden_layers")?,
        keys.count("num_attention_heads")?,
        keys.count("ffn_dim")?,
        keys.count("max_position_embeddings")?,
    ];
    let (norm, position) = (Norm::Layer { epsilon: 1e-5 }, Position::Learned { offset: 2 });
    Ok(Spec {
        embedding_width: keys.count_or("word_embed_proj_dim", width)?,
        pre_norm,
        final_norm: pre_norm && !keys.flag_or("_remove_final_layer_norm", false)?,
        activation: activation(keys, "activation_function", "relu")?,
        qkv_bias: bias,
        output_bias: bias,
        feed_bias: bias,
        tied: keys.flag_or("tie_word_embeddings", true)?,
        ..Spec::plain(Family::Opt, sizes, norm, position)
    })
}

/// BLOOM and BLOOMZ: positions as a slope on the attention scores.
fn bloom(keys: &JsonObject) -> Result<Spec> {
    let either = |new: &str, old: &str| keys.count(if keys.has(new) { new } else { old });
    let width = either("hidden_size", "n_embed")?;
    let sizes = [
        keys.count("vocab_size")?,
        width,
        either("n_layer", "num_hidden_layers")?,
        either("n_head", "num_attention_heads")?,
        4 * width,
        // Slopes know no last position; the length it was trained on is where it is known to work.
        keys.count_or("seq_length", 2048)?,
    ];
    let norm = Norm::Layer { epsilon: keys.real_or("layer_norm_epsilon", 1e-5)? };
    Ok(Spec {
        activation: Activation::GeluTanh,
        qkv_bias: true,
        output_bias: true,
        feed_bias: true,
        residual_after_norm: keys.flag_or("apply_residual_connection_post_layernorm", false)?,
        tied: keys.flag_or("tie_word_embeddings", true)?,
        ..Spec::plain(Family::Bloom, sizes, norm, Position::Slopes)
    })
}

/// Encoders of model type `bert` or `distilbert`.
fn encoder(keys: &JsonObject, distilled: bool) -> Result<EncoderSpec> {
    let count = |bert: &str, other: &str| keys.count(if distilled { other } else { bert });
    if !matches!(keys.text("position_embedding_type")?, None | Some("absolute")) {
        return Err(keys.refuse("only absolute position embeddings are supported"));
    }
    let spec = EncoderSpec {
        distilled,
        vocabulary: keys.count("vocab_size")?,
        width: count("hidden_size", "dim")?,
        depth: count("num_hidden_layers", "n_layers")?,
        heads: count("num_attention_heads", "n_heads")?,
        feed: count("intermediate_size", "hidden_dim")?,
        context: keys.count("max_position_embeddings")?,
        segments: if distilled { 0 } else { keys.count_or("type_vocab_size", 2)? },
        epsilon: if distilled { 1e-12 } else { keys.real_or("layer_norm_eps", 1e-12)? },
        activation: activation(keys, if distilled { "activation" } else { "hidden_act" }, "gelu")?,
    };
    if spec.heads == 0 || !spec.width.is_multiple_of(spec.heads) || spec.depth == 0 {
        let (width, heads) = (spec.width, spec.heads);
        return Err(keys.refuse(&format!("width {width} and {heads} heads do not go together")));
    }
    Ok(spec)
}

fn activation(keys: &JsonObject, key: &str, default: &str) -> Result<Activation> {
    match keys.text(key)?.unwrap_or(default) {
        "silu" | "swish" => Ok(Activation::Silu),
        "relu" => Ok(Activation::Relu),
        "gelu" => Ok(Activation::Gelu),
        "gelu_pytorch_tanh" | "gelu_new" | "gelu_fast" => Ok(Activation::GeluTanh),
        other => Err(keys.refuse(&format!("activation `{other}` is not supported"))),
    }
}

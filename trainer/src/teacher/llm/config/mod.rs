//! A folder's `config.json` read into a [`Spec`], in the wordings of transformers 4 and 5.

pub mod architecture;
pub mod json;

use crate::teacher::TeacherError;
use crate::teacher::llm::config::architecture::{
    Activation, Family, Norm, Position, Spec, Stretch,
};
use crate::teacher::llm::config::json::JsonObject;

/// The families, as an error lists them.
pub const SUPPORTED: &str = "llama, qwen2, qwen3, gemma3_text, opt, bloom; as encoders bert and distilbert; as GGUF llama, qwen2, qwen3";

impl Family {
    pub fn of(kind: &str) -> Option<Self> {
        Some(match kind {
            "llama" => Self::Llama,
            "qwen2" => Self::Qwen2,
            "qwen3" => Self::Qwen3,
            "gemma3_text" => Self::Gemma3,
            "opt" => Self::Opt,
            "bloom" => Self::Bloom,
            _ => return None,
        })
    }
}

/// Reads the description of a decoder of a family.
pub fn spec(family: Family, keys: &JsonObject) -> Result<Spec, TeacherError> {
    let spec = match family {
        Family::Opt => opt(keys),
        Family::Bloom => bloom(keys),
        _ => rotary(family, keys),
    }?;
    match spec.fault() {
        Some(fault) => Err(keys.refuse(&fault)),
        None => Ok(spec),
    }
}

fn rotary(family: Family, keys: &JsonObject) -> Result<Spec, TeacherError> {
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
    Ok(Spec {
        family,
        vocabulary: keys.count("vocab_size")?,
        width,
        embedding_width: width,
        depth,
        heads,
        kv_heads: keys.count_or("num_key_value_heads", heads)?,
        head_width,
        feed: keys.count("intermediate_size")?,
        norm: Norm::Rms { epsilon: keys.real_or("rms_norm_eps", 1e-6)?, plus_one: gemma },
        pre_norm: true,
        final_norm: true,
        activation: match gemma {
            true => activation(keys, "hidden_activation", "gelu_pytorch_tanh")?,
            false => activation(keys, "hidden_act", "silu")?,
        },
        position: rotation(keys, if gemma { 1e6 } else { 1e4 })?,
        attention_scale: scaled.powf(-0.5),
        windows: windows(family, keys, depth)?,
        qkv_bias: bias,
        output_bias: bias && family != Family::Qwen2,
        feed_bias: keys.flag_or("mlp_bias", false)?,
        embedding_scale: if gemma { (width as f64).sqrt() } else { 1.0 },
        residual_after_norm: false,
        tied: keys.flag_or("tie_word_embeddings", gemma)?,
        context: keys.count_or("max_position_embeddings", 2048)?,
    })
}

/// Frequencies: `rope_parameters` since transformers 5 (one set, or one a kind of layer), before that `rope_theta`
/// and `rope_scaling`.
fn rotation(keys: &JsonObject, default: f64) -> Result<Position, TeacherError> {
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

fn stretch(keys: &JsonObject) -> Result<Stretch, TeacherError> {
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
fn windows(
    family: Family,
    keys: &JsonObject,
    depth: usize,
) -> Result<Vec<Option<usize>>, TeacherError> {
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

fn opt(keys: &JsonObject) -> Result<Spec, TeacherError> {
    let (width, heads) = (keys.count("hidden_size")?, keys.count("num_attention_heads")?);
    let depth = keys.count("num_hidden_layers")?;
    if !keys.flag_or("layer_norm_elementwise_affine", true)? {
        return Err(keys.refuse("norms without weights are not supported"));
    }
    let (pre_norm, bias) =
        (keys.flag_or("do_layer_norm_before", true)?, keys.flag_or("enable_bias", true)?);
    Ok(Spec {
        family: Family::Opt,
        vocabulary: keys.count("vocab_size")?,
        width,
        embedding_width: keys.count_or("word_embed_proj_dim", width)?,
        depth,
        heads,
        kv_heads: heads,
        head_width: width / heads.max(1),
        feed: keys.count("ffn_dim")?,
        norm: Norm::Layer { epsilon: 1e-5 },
        pre_norm,
        final_norm: pre_norm && !keys.flag_or("_remove_final_layer_norm", false)?,
        activation: activation(keys, "activation_function", "relu")?,
        position: Position::Learned { offset: 2 },
        attention_scale: ((width / heads.max(1)) as f64).powf(-0.5),
        windows: vec![None; depth],
        qkv_bias: bias,
        output_bias: bias,
        feed_bias: bias,
        embedding_scale: 1.0,
        residual_after_norm: false,
        tied: keys.flag_or("tie_word_embeddings", true)?,
        context: keys.count("max_position_embeddings")?,
    })
}

fn bloom(keys: &JsonObject) -> Result<Spec, TeacherError> {
    let either = |new: &str, old: &str| keys.count(if keys.has(new) { new } else { old });
    let width = either("hidden_size", "n_embed")?;
    let heads = either("n_head", "num_attention_heads")?;
    let depth = either("n_layer", "num_hidden_layers")?;
    Ok(Spec {
        family: Family::Bloom,
        vocabulary: keys.count("vocab_size")?,
        width,
        embedding_width: width,
        depth,
        heads,
        kv_heads: heads,
        head_width: width / heads.max(1),
        feed: 4 * width,
        norm: Norm::Layer { epsilon: keys.real_or("layer_norm_epsilon", 1e-5)? },
        pre_norm: true,
        final_norm: true,
        activation: Activation::GeluTanh,
        position: Position::Slopes,
        attention_scale: ((width / heads.max(1)) as f64).powf(-0.5),
        windows: vec![None; depth],
        qkv_bias: true,
        output_bias: true,
        feed_bias: true,
        embedding_scale: 1.0,
        residual_after_norm: keys.flag_or("apply_residual_connection_post_layernorm", false)?,
        tied: keys.flag_or("tie_word_embeddings", true)?,
        // Slopes know no last position; the length it was trained on is where it is known to work.
        context: keys.count_or("seq_length", 2048)?,
    })
}

pub fn activation(keys: &JsonObject, key: &str, default: &str) -> Result<Activation, TeacherError> {
    match keys.text(key)?.unwrap_or(default) {
        "silu" | "swish" => Ok(Activation::Silu),
        "relu" => Ok(Activation::Relu),
        "gelu" => Ok(Activation::Gelu),
        "gelu_pytorch_tanh" | "gelu_new" | "gelu_fast" => Ok(Activation::GeluTanh),
        other => Err(keys.refuse(&format!("activation `{other}` is not supported"))),
    }
}

//! Decoders with rotary positions: Llama, Qwen 2 and 3, Gemma 3.

use super::architecture::{Family, Norm, Position, Spec, Stretch};
use super::json::{JsonObject, activation};
use crate::teacher::TeacherError;

pub(super) fn read(family: Family, keys: &JsonObject) -> Result<Spec, TeacherError> {
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

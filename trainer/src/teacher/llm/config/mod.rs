//! A folder's `config.json` read into an architecture, in the wordings of transformers 4 and 5.

pub mod architecture;

use crate::teacher::llm::config::architecture::{Family, Position, SUPPORTED, Spec, Stretch};
use anyhow::{Result, anyhow, bail};
use candle_nn::Activation;
use qdllm_host::files;
use serde::Deserialize as _;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use std::fmt::Display;
use std::path::{Path, PathBuf};

/// A JSON object of a file, whose errors name file and key. A key whose value is `null` counts as absent.
pub struct JsonObject {
    path: PathBuf,
    pub map: Map<String, Value>,
}

impl JsonObject {
    pub fn read(path: &Path) -> Result<Self> {
        let text = files::read_text(path)?;
        let map = serde_json::from_str(&text)
            .map_err(|e| anyhow!("{}: is no JSON object ({e}); fetch it again", path.display()))?;
        Ok(Self { path: path.to_owned(), map })
    }

    pub fn refuse<T>(&self, what: impl Display) -> Result<T> {
        bail!("{}: {what}", self.path.display())
    }

    pub fn has(&self, key: &str) -> bool {
        self.map.get(key).is_some_and(|value| !value.is_null())
    }

    pub fn get<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>> {
        let value = self.map.get(key).unwrap_or(&Value::Null);
        Option::deserialize(value).or_else(|e| self.refuse(format!("`{key}` cannot be read: {e}")))
    }

    pub fn need<T: DeserializeOwned>(&self, key: &str) -> Result<T> {
        let missing = || self.refuse(format!("`{key}` is missing; fetch the file again"));
        self.get(key)?.map_or_else(missing, Ok)
    }

    pub fn or<T: DeserializeOwned>(&self, key: &str, default: T) -> Result<T> {
        Ok(self.get(key)?.unwrap_or(default))
    }

    pub fn child(&self, key: &str) -> Result<Option<Self>> {
        Ok(self.get(key)?.map(|map| Self { path: self.path.clone(), map }))
    }
}

pub fn read(config: &JsonObject) -> Result<Spec> {
    let model_type = config.or("model_type", "".to_owned())?;
    let spec = match model_type.as_str() {
        "llama" | "mistral" | "phi3" => rotary(Family::Llama, config)?,
        "smollm3" => Spec { unturned: unturned(config)?, ..rotary(Family::Llama, config)? },
        "qwen2" => rotary(Family::Qwen2, config)?,
        "qwen3" => rotary(Family::Qwen3, config)?,
        "gemma3_text" => rotary(Family::Gemma3, config)?,
        "opt" => opt(config)?,
        "bloom" => bloom(config)?,
        "roberta" | "xlm-roberta" => encoder(Family::Roberta, config)?,
        "bert" => encoder(Family::Bert, config)?,
        "distilbert" => encoder(Family::DistilBert, config)?,
        _ => {
            return config.refuse(format!(
                "model type `{model_type}` is not supported; these are: {SUPPORTED}"
            ));
        }
    };
    spec.fault().map_or(Ok(spec), |fault| config.refuse(fault))
}

/// The layers of `SmolLM` 3 without positions: by a list of ones and zeros, or every fourth.
fn unturned(keys: &JsonObject) -> Result<Vec<usize>> {
    let depth = keys.need("num_hidden_layers")?;
    let every = keys.or("no_rope_layer_interval", 4)?.max(1);
    let usual = (1..=depth).map(|layer| usize::from(layer % every != 0)).collect();
    let turns: Vec<usize> = keys.or("no_rope_layers", usual)?;
    Ok((0..depth).filter(|&layer| turns.get(layer) == Some(&0)).collect())
}

/// Decoders with rotary positions: Llama and what is like it, Qwen 2 and 3, Gemma 3.
fn rotary(family: Family, keys: &JsonObject) -> Result<Spec> {
    let (width, heads): (usize, usize) =
        (keys.need("hidden_size")?, keys.need("num_attention_heads")?);
    let (depth, gemma) = (keys.need("num_hidden_layers")?, family == Family::Gemma3);
    let head_width = keys.or("head_dim", if gemma { 256 } else { width / heads.max(1) })?;
    let scaled = if gemma { keys.or("query_pre_attn_scalar", 256.0)? } else { head_width as f64 };
    for cap in ["attn_logit_softcapping", "final_logit_softcapping"] {
        if keys.has(cap) {
            return keys.refuse(format!("`{cap}` is not supported"));
        }
    }
    let bias = keys.or("attention_bias", family == Family::Qwen2)?;
    let sizes = [
        keys.need("vocab_size")?,
        width,
        depth,
        heads,
        keys.need("intermediate_size")?,
        keys.or("max_position_embeddings", 2048)?,
    ];
    let epsilon = keys.or("rms_norm_eps", 1e-6)?;
    let hidden =
        if gemma { ("hidden_activation", "gelu_pytorch_tanh") } else { ("hidden_act", "silu") };
    let position = rotation(keys, if gemma { 1e6 } else { 1e4 })?;
    Ok(Spec {
        kv_heads: keys.or("num_key_value_heads", heads)?,
        head_width,
        activation: activation(keys, hidden.0, hidden.1)?,
        attention_scale: scaled.powf(-0.5),
        windows: windows(family, keys, depth)?,
        qkv_bias: bias,
        output_bias: bias && family != Family::Qwen2,
        feed_bias: keys.or("mlp_bias", false)?,
        embedding_scale: if gemma { (width as f64).sqrt() } else { 1.0 },
        tied: keys.or("tie_word_embeddings", gemma || keys.has("no_rope_layers"))?,
        ..Spec::plain(family, sizes, epsilon, position)
    })
}

/// Frequencies: `rope_parameters` since transformers 5 (one set, or one a kind of layer), before that `rope_theta`
/// and `rope_scaling`.
fn rotation(keys: &JsonObject, default: f64) -> Result<Position> {
    let Some(all) = keys.child("rope_parameters")? else {
        whole_turns(keys)?;
        let base = keys.or("rope_theta", default)?;
        let scaling = keys.child("rope_scaling")?;
        let stretch = scaling.map_or(Ok(Stretch::None), |scaling| stretch(&scaling))?;
        let local_base = keys.or("rope_local_base_freq", if default > 1e5 { 1e4 } else { base })?;
        return Ok(Position::Rotary { base, stretch, local_base });
    };
    let local = all.child("sliding_attention")?;
    let far = all.child("full_attention")?.unwrap_or(all);
    whole_turns(&far)?;
    let base = far.or("rope_theta", default)?;
    let local_base = local.map_or(Ok(base), |local| local.or("rope_theta", 1e4))?;
    Ok(Position::Rotary { base, stretch: stretch(&far)?, local_base })
}

fn whole_turns(keys: &JsonObject) -> Result<()> {
    match keys.or("partial_rotary_factor", 1.0)? {
        1.0 => Ok(()),
        share => keys.refuse(format!("`partial_rotary_factor` {share} is not supported")),
    }
}

fn stretch(keys: &JsonObject) -> Result<Stretch> {
    let old = keys.or("type", "default".to_owned())?;
    match keys.or("rope_type", old)?.as_str() {
        "default" => Ok(Stretch::None),
        "linear" => Ok(Stretch::Linear(keys.need("factor")?)),
        "llama3" => Ok(Stretch::Llama3 {
            factor: keys.need("factor")?,
            low: keys.need("low_freq_factor")?,
            high: keys.need("high_freq_factor")?,
            original: keys.need("original_max_position_embeddings")?,
        }),
        other => keys.refuse(format!(
            "rope type `{other}` is not supported; default, linear and llama3 are"
        )),
    }
}

/// How far each layer sees: by `layer_types` where given, else by the family's older keys.
fn windows(family: Family, keys: &JsonObject, depth: usize) -> Result<Vec<Option<usize>>> {
    let gemma = family == Family::Gemma3;
    let slides = match family {
        Family::Gemma3 => true,
        Family::Qwen2 | Family::Qwen3 => keys.or("use_sliding_window", false)?,
        Family::Llama => keys.has("sliding_window") && keys.or("use_sliding_window", true)?,
        _ => false,
    };
    if !slides {
        return Ok(vec![None; depth]);
    }
    let window = keys.get("sliding_window")?.or(gemma.then_some(4096));
    if let Some(types) = keys.get::<Vec<String>>("layer_types")? {
        let see = |kind: &String| match kind.as_str() {
            "sliding_attention" => Ok(window),
            "full_attention" => Ok(None),
            other => keys.refuse(format!("layer type `{other}` is not supported")),
        };
        return types.iter().map(see).collect();
    }
    let every = keys.or("sliding_window_pattern", 6)?.max(1);
    let first = keys.or("max_window_layers", if family == Family::Llama { 0 } else { depth })?;
    let near = |layer: usize| match gemma {
        true => !(layer + 1).is_multiple_of(every),
        false => layer >= first,
    };
    Ok((0..depth).map(|layer| window.filter(|_| near(layer))).collect())
}

/// OPT: learned positions, a feed-forward step of two matrices, biases everywhere.
fn opt(keys: &JsonObject) -> Result<Spec> {
    let width = keys.need("hidden_size")?;
    if !keys.or("layer_norm_elementwise_affine", true)? {
        return keys.refuse("norms without weights are not supported");
    }
    let (pre_norm, bias) = (keys.or("do_layer_norm_before", true)?, keys.or("enable_bias", true)?);
    let sizes = [
        keys.need("vocab_size")?,
        width,
        keys.need("num_hidden_layers")?,
        keys.need("num_attention_heads")?,
        keys.need("ffn_dim")?,
        keys.need("max_position_embeddings")?,
    ];
    Ok(Spec {
        embedding_width: keys.or("word_embed_proj_dim", width)?,
        pre_norm,
        final_norm: pre_norm && !keys.or("_remove_final_layer_norm", false)?,
        activation: activation(keys, "activation_function", "relu")?,
        qkv_bias: bias,
        output_bias: bias,
        feed_bias: bias,
        tied: keys.or("tie_word_embeddings", true)?,
        ..Spec::plain(Family::Opt, sizes, 1e-5, Position::Learned { offset: 2 })
    })
}

/// BLOOM and BLOOMZ: positions as a slope on the attention scores.
fn bloom(keys: &JsonObject) -> Result<Spec> {
    let either = |new: &str, old: &str| keys.need(if keys.has(new) { new } else { old });
    let width = either("hidden_size", "n_embed")?;
    let sizes = [
        keys.need("vocab_size")?,
        width,
        either("n_layer", "num_hidden_layers")?,
        either("n_head", "num_attention_heads")?,
        4 * width,
        // Slopes know no last position; the length it was trained on is where it is known to work.
        keys.or("seq_length", 2048)?,
    ];
    let epsilon = keys.or("layer_norm_epsilon", 1e-5)?;
    Ok(Spec {
        activation: Activation::NewGelu,
        qkv_bias: true,
        output_bias: true,
        feed_bias: true,
        residual_after_norm: keys.or("apply_residual_connection_post_layernorm", false)?,
        tied: keys.or("tie_word_embeddings", true)?,
        ..Spec::plain(Family::Bloom, sizes, epsilon, Position::Slopes)
    })
}

fn encoder(family: Family, keys: &JsonObject) -> Result<Spec> {
    let distilled = family == Family::DistilBert;
    let count = |bert: &str, other: &str| keys.need(if distilled { other } else { bert });
    if keys.or("position_embedding_type", "absolute".to_owned())? != "absolute" {
        return keys.refuse("only absolute position embeddings are supported");
    }
    let sizes = [
        keys.need("vocab_size")?,
        count("hidden_size", "dim")?,
        count("num_hidden_layers", "n_layers")?,
        count("num_attention_heads", "n_heads")?,
        count("intermediate_size", "hidden_dim")?,
        keys.need("max_position_embeddings")?,
    ];
    let mut sizes = sizes;
    // Its padding takes the positions before the first.
    let offset = if family == Family::Roberta { keys.or("pad_token_id", 1)? + 1 } else { 0 };
    sizes[5] = usize::saturating_sub(sizes[5], offset);
    let epsilon = if distilled { 1e-12 } else { keys.or("layer_norm_eps", 1e-12)? };
    Ok(Spec {
        pre_norm: false,
        final_norm: false,
        activation: activation(keys, if distilled { "activation" } else { "hidden_act" }, "gelu")?,
        qkv_bias: true,
        output_bias: true,
        feed_bias: true,
        tied: false,
        segments: if distilled { 0 } else { keys.or("type_vocab_size", 2)? },
        ..Spec::plain(family, sizes, epsilon, Position::Learned { offset })
    })
}

fn activation(keys: &JsonObject, key: &str, default: &str) -> Result<Activation> {
    match keys.or(key, default.to_owned())?.as_str() {
        "silu" | "swish" => Ok(Activation::Silu),
        "relu" => Ok(Activation::Relu),
        "gelu" => Ok(Activation::Gelu),
        "gelu_pytorch_tanh" | "gelu_new" | "gelu_fast" => Ok(Activation::NewGelu),
        other => keys.refuse(format!("activation `{other}` is not supported")),
    }
}

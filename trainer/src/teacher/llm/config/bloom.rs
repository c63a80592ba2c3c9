//! BLOOM and BLOOMZ: positions as a slope on the attention scores.

use super::architecture::{Activation, Family, Norm, Position, Spec};
use super::json::JsonObject;
use crate::teacher::TeacherError;

pub(super) fn read(keys: &JsonObject) -> Result<Spec, TeacherError> {
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

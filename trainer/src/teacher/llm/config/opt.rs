//! OPT: learned positions, a feed-forward step of two matrices, biases everywhere.

use super::architecture::{Family, Norm, Position, Spec};
use super::json::{JsonObject, activation};
use crate::teacher::TeacherError;

pub(super) fn read(keys: &JsonObject) -> Result<Spec, TeacherError> {
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

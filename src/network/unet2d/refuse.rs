//! Keys of a `UNet2DConditionModel` that change what it computes in ways that this version does not know, and those
//! that change nothing.

use crate::error::Result;
use crate::network::keys::{Keys, LARGEST, unsupported};

/// Keys that must be null, false or absent, and what they would bring in.
const REFUSED: [(&str, &str); 10] = [
    ("time_cond_proj_dim", "null: a guidance scale as a further input (LCM) is not known"),
    ("encoder_hid_dim", "null: a projection of the context is not known"),
    ("encoder_hid_dim_type", "null: a projection of the context is not known"),
    ("num_attention_heads", "null: diffusers itself takes the number of heads from attention_head_dim here"),
    ("reverse_transformer_layers_per_block", "null: the way up has as many transformer layers as the way down"),
    ("dual_cross_attention", "false: two contexts are not known"),
    ("time_embedding_act_fn", "null: a further activation of the time embedding is not known"),
    ("timestep_post_act", "null: a further activation of the time embedding is not known"),
    ("class_embeddings_concat", "false: labels are added to the time embedding, not laid beside it"),
    ("cross_attention_norm", "null: normalisation of the context is not known"),
];

/// Keys with the one word that is known.
const FIXED_WORDS: [(&str, &str); 2] = [("time_embedding_type", "positional"), ("attention_type", "default")];

/// Convolutions whose kernels are of one size.
const KERNELS: [&str; 2] = ["conv_in_kernel", "conv_out_kernel"];

/// Keys that do nothing in the blocks that this version has, or only with others that it refuses. `upcast_attention`
/// does nothing with the attention that diffusers uses with PyTorch 2.
const IDLE: [&str; 6] = [
    "dropout",
    "upcast_attention",
    "addition_embed_type_num_heads",
    "mid_block_only_cross_attention",
    "resnet_skip_time_act",
    "resnet_out_scale_factor",
];

/// Takes all of them.
pub(super) fn refuse(keys: &mut Keys) -> Result<()> {
    for (key, allowed) in REFUSED {
        keys.refuse_set(key, &format!("it is {allowed}"))?;
    }
    for (key, known) in FIXED_WORDS {
        let other = keys.take(key).filter(|value| !value.is_null() && value.as_str() != Some(known));
        if other.is_some() {
            return Err(unsupported(key, &keys.seen(key), &format!("it is {known}")));
        }
    }
    for key in KERNELS {
        if keys.integer(key, 3, 1..=LARGEST)? != 3 {
            return Err(unsupported(key, &keys.seen(key), "it is 3"));
        }
    }
    for key in IDLE {
        keys.take(key);
    }
    Ok(())
}

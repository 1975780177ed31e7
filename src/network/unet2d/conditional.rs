//! The keys that only a `UNet2DConditionModel` has.
//!
//! Beware of `attention_head_dim`: in this class, and in no other, diffusers takes it for the *number* of heads. Files
//! say so (8 in Stable Diffusion 1, where heads have 40 to 160 channels), and so it must stay.

use super::config::{AttentionPlan, BlockPlan, BodyPlan, MidPlan, TimeEmbeddingType, TransformerConfig};
use super::refuse::refuse;
use super::shared::{Own, block_types, channels, downsample_padding, mid_block, resnet};
use super::text_time::TextTimeConfig;
use crate::error::Result;
use crate::network::Numbers;
use crate::network::keys::{Keys, LARGEST, unsupported};

pub(super) fn read(keys: &mut Keys) -> Result<Own> {
    refuse(keys)?;
    let channels = channels(keys, &[320, 640, 1280, 1280])?;
    let context_width = cross_attention_dim(keys, channels.len())?;
    let body = body(keys, channels, context_width)?;
    Ok(Own {
        time_embedding_type: TimeEmbeddingType::Positional,
        time_activation: body.resnet.activation,
        cross_attention_dim: Some(context_width),
        text_time: text_time(keys)?,
        body,
    })
}

fn body(keys: &mut Keys, channels: Vec<i64>, context_width: i64) -> Result<BodyPlan> {
    let resnet = resnet(keys, channels[0])?;
    let transformers = transformers(keys, &channels, context_width, resnet.norm_groups)?;
    let [down_attends, up_attends] = attending_blocks(keys, channels.len())?;
    let layers = integers(keys, "layers_per_block", 2, channels.len(), 1000)?;
    let block = |i: usize, attends: bool, layers| {
        let attention = attends.then(|| AttentionPlan::Transformer(transformers[i]));
        BlockPlan { layers, attention, resnet_resampling: false }
    };
    let last = channels.len() - 1;
    let down = down_attends.iter().enumerate().map(|(i, attends)| block(i, *attends, layers[i]));
    let up = up_attends.iter().enumerate().map(|(i, attends)| block(last - i, *attends, layers[last - i] + 1));
    // The middle has self-attention in any case.
    let middle = TransformerConfig { only_cross_attention: false, ..transformers[last] };
    let attention = Some(AttentionPlan::Transformer(middle));
    Ok(BodyPlan {
        in_channels: keys.integer("in_channels", 4, 1..=LARGEST)?,
        out_channels: keys.integer("out_channels", 4, 1..=LARGEST)?,
        resnet,
        down: down.collect(),
        mid: mid_block(keys, "UNetMidBlock2DCrossAttn")?.map(|scale_factor| MidPlan { attention, scale_factor }),
        up: up.collect(),
        downsample_padding: downsample_padding(keys)?,
        last_activation: resnet.activation,
        channels,
    })
}

/// The transformers of every resolution, whether or not its blocks have them.
fn transformers(
    keys: &mut Keys,
    channels: &[i64],
    context_width: i64,
    norm_groups: i64,
) -> Result<Vec<TransformerConfig>> {
    let count = channels.len();
    let heads = integers(keys, "attention_head_dim", 8, count, LARGEST)?;
    let layers = integers(keys, "transformer_layers_per_block", 1, count, 1000)?;
    let only_cross = keys.each("only_cross_attention", false, count, "block_out_channels")?;
    let linear_projection = keys.value("use_linear_projection", false)?;
    let transformer = |i: usize| TransformerConfig {
        channels: channels[i],
        heads: heads[i],
        layers: layers[i],
        context_width,
        norm_groups,
        linear_projection,
        only_cross_attention: only_cross[i],
    };
    Ok((0..count).map(transformer).collect())
}

/// A number from 1 to `largest` for each resolution.
fn integers(keys: &mut Keys, key: &'static str, default: i64, count: usize, largest: i64) -> Result<Vec<i64>> {
    let numbers = keys.each(key, default, count, "block_out_channels")?;
    keys.check_all(key, &numbers, 1..=largest)?;
    Ok(numbers)
}

/// Width of the context, of which a network takes one.
fn cross_attention_dim(keys: &mut Keys, count: usize) -> Result<i64> {
    let key = "cross_attention_dim";
    let widths = integers(keys, key, 1280, count, LARGEST)?;
    match widths.iter().find(|width| **width != widths[0]) {
        None => Ok(widths[0]),
        Some(_) => Err(unsupported(key, &keys.seen(key), "a context has one width, so all of them must be the same")),
    }
}

/// Pooled embeddings and numbers beside the context, `text_time` where there are some.
fn text_time(keys: &mut Keys) -> Result<Option<TextTimeConfig>> {
    let (key, width_key, features_key) =
        ("addition_embed_type", "projection_class_embeddings_input_dim", "addition_time_embed_dim");
    let features = keys.optional_integer(features_key, 2..=LARGEST)?;
    match (keys.value(key, None::<String>)?.as_deref(), keys.optional_integer(width_key, 1..=LARGEST)?, features) {
        (None, ..) => Ok(None),
        (Some("text_time"), Some(width), Some(features)) => {
            let config = TextTimeConfig { width, features };
            match config.additions().pooled_width(Numbers::TimeIds.usual()) {
                Some(1..) => Ok(Some(config)),
                _ => Err(keys.wrong(
                    width_key,
                    &width.to_string(),
                    &format!("pooled embeddings and six numbers of {features_key} = {features} features do not fit"),
                )),
            }
        }
        (Some("text_time"), None, _) => Err(keys.wrong(width_key, "absent", "text_time needs it")),
        (Some("text_time"), _, None) => Err(keys.wrong(features_key, "absent", "text_time needs it")),
        (Some(other), ..) => Err(unsupported(key, other, "it is null or `text_time`")),
    }
}

/// Which blocks on the way down, and which on the way up, have transformers.
fn attending_blocks(keys: &mut Keys, count: usize) -> Result<[Vec<bool>; 2]> {
    let mut attending = |key, [plain, attends]: [&str; 2], default| {
        let names = block_types(keys, key, default, count)?;
        match names.iter().find(|name| *name != plain && *name != attends) {
            Some(other) => Err(unsupported(key, other, &format!("the blocks are {plain} and {attends}"))),
            None => Ok(names.iter().map(|name| name == attends).collect()),
        }
    };
    let [down, cross_down] = ["DownBlock2D", "CrossAttnDownBlock2D"];
    let [up, cross_up] = ["UpBlock2D", "CrossAttnUpBlock2D"];
    Ok([
        attending("down_block_types", [down, cross_down], [cross_down, cross_down, cross_down, down])?,
        attending("up_block_types", [up, cross_up], [up, cross_up, cross_up, cross_up])?,
    ])
}

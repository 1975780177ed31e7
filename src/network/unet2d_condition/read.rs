//! From config.json to a checked [`ConditionConfig`], with diffusers' defaults for absent keys.
//!
//! Beware of `attention_head_dim`: in this class, and in no other, diffusers takes it for the *number* of heads. Files say
//! so (8 in Stable Diffusion 1, where heads have 40 to 160 channels), and so it must stay.

use super::config::{ClassEmbedding, ConditionConfig};
use super::refuse::refuse;
use crate::error::Result;
use crate::network::keys::{Keys, LARGEST, sample_size, unsupported};
use crate::network::unet_blocks::read::{
    act_fn, channels, check_shift, downsample_padding, groups, norm_eps, scale_factor, time_embed_dim, time_scale_shift,
};
use crate::network::unet_blocks::{AttentionPlan, BlockPlan, BodyPlan, MidPlan, ResnetPlan, TransformerConfig};
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::path::Path;

impl ConditionConfig {
    /// Reads and checks the JSON object of a config.json; `path` is for messages.
    ///
    /// # Errors
    /// A file error for a value of a wrong type, out of range or against another one; an unsupported error for values
    /// that diffusers knows and this version does not, and for unknown keys that do not start with `_`.
    pub fn from_json(json: &Value, path: &Path) -> Result<Self> {
        let mut keys = Keys::new("UNet2DConditionModel", json, path)?;
        refuse(&mut keys)?;
        let body = body(&mut keys)?;
        let cross_attention_dim = cross_attention_dim(&mut keys, body.channels.len())?;
        let config = ConditionConfig {
            json: json.clone(),
            sample_size: sample_size(&mut keys)?,
            center_input_sample: keys.value("center_input_sample", false)?,
            freq_shift: keys.finite("freq_shift", 0.0)?,
            flip_sin_to_cos: keys.value("flip_sin_to_cos", true)?,
            class_embedding: class_embedding(&mut keys)?,
            cross_attention_dim,
            body,
        };
        check_shift(&keys, config.freq_shift, config.time_features())?;
        keys.finish()?;
        Ok(config)
    }
}

fn body(keys: &mut Keys) -> Result<BodyPlan> {
    let channels = channels(keys, &[320, 640, 1280, 1280])?;
    let resnet = resnet(keys, channels[0])?;
    let transformers = transformers(keys, &channels, resnet.norm_groups)?;
    let [down_attends, up_attends] = attending_blocks(keys, channels.len())?;
    let layers = per_block(keys, "layers_per_block", 2, channels.len())?;
    check_all(keys, "layers_per_block", &layers, 1000)?;
    let block = |i: usize, attends: bool, layers| {
        let attention = attends.then(|| AttentionPlan::Transformer(transformers[i]));
        BlockPlan { layers, attention, resnet_resampling: false }
    };
    let last = channels.len() - 1;
    let down = down_attends.iter().enumerate().map(|(i, attends)| block(i, *attends, layers[i]));
    let up = up_attends.iter().enumerate().map(|(i, attends)| block(last - i, *attends, layers[last - i] + 1));
    // The middle has self-attention in any case.
    let middle = TransformerConfig { only_cross_attention: false, ..transformers[last] };
    Ok(BodyPlan {
        in_channels: keys.integer("in_channels", 4, 1..=LARGEST)?,
        out_channels: keys.integer("out_channels", 4, 1..=LARGEST)?,
        resnet,
        down: down.collect(),
        mid: mid_block(keys, middle)?,
        up: up.collect(),
        downsample_padding: downsample_padding(keys)?,
        last_activation: resnet.act_fn,
        channels,
    })
}

fn resnet(keys: &mut Keys, first: i64) -> Result<ResnetPlan> {
    Ok(ResnetPlan {
        time_embed_dim: time_embed_dim(keys, first)?,
        norm_groups: groups(keys)?,
        norm_eps: norm_eps(keys)?,
        act_fn: act_fn(keys)?,
        time_scale_shift: time_scale_shift(keys)?,
    })
}

/// The transformers of every resolution, whether or not its blocks have them.
fn transformers(keys: &mut Keys, channels: &[i64], norm_groups: i64) -> Result<Vec<TransformerConfig>> {
    let count = channels.len();
    let heads = per_block(keys, "attention_head_dim", 8, count)?;
    check_all(keys, "attention_head_dim", &heads, LARGEST)?;
    let layers = per_block(keys, "transformer_layers_per_block", 1, count)?;
    check_all(keys, "transformer_layers_per_block", &layers, 1000)?;
    let only_cross = per_block(keys, "only_cross_attention", false, count)?;
    let context_width = cross_attention_dim(keys, count)?;
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

/// One value for all resolutions, or a list with one for each, from the highest resolution down.
fn per_block<T: DeserializeOwned + Clone>(
    keys: &mut Keys,
    key: &'static str,
    default: T,
    count: usize,
) -> Result<Vec<T>> {
    if !matches!(keys.take(key), Some(Value::Array(_))) {
        return Ok(vec![keys.value(key, default)?; count]);
    }
    let list: Vec<T> = keys.value(key, Vec::new())?;
    if list.len() == count {
        return Ok(list);
    }
    let allowed = format!("block_out_channels has {count}, and both must agree");
    Err(keys.wrong(key, &format!("a list of {}", list.len()), &allowed))
}

fn check_all(keys: &Keys, key: &str, list: &[i64], largest: i64) -> Result<()> {
    match list.iter().find(|n| !(1..=largest).contains(*n)) {
        None => Ok(()),
        Some(bad) => Err(keys.wrong(key, &bad.to_string(), &format!("it must be from 1 to {largest}"))),
    }
}

/// Width of the context, of which a network takes one.
fn cross_attention_dim(keys: &mut Keys, count: usize) -> Result<i64> {
    let key = "cross_attention_dim";
    let widths = per_block(keys, key, 1280, count)?;
    check_all(keys, key, &widths, LARGEST)?;
    match widths.iter().find(|width| **width != widths[0]) {
        None => Ok(widths[0]),
        Some(_) => Err(unsupported(key, &keys.seen(key), "a context has one width, so all of them must be the same")),
    }
}

/// Which blocks on the way down, and which on the way up, have transformers.
fn attending_blocks(keys: &mut Keys, count: usize) -> Result<[Vec<bool>; 2]> {
    let [down, up] = ["Down", "Up"].map(|way| (format!("{way}Block2D"), format!("CrossAttn{way}Block2D")));
    let default = |plain: &String, attending: &String, plain_at: usize| {
        (0..4).map(|i| if i == plain_at { plain.clone() } else { attending.clone() }).collect::<Vec<_>>()
    };
    let mut sides = [Vec::new(), Vec::new()];
    let all = [("down_block_types", &down, 3), ("up_block_types", &up, 0)];
    for (side, (key, (plain, attending), plain_at)) in sides.iter_mut().zip(all) {
        let list: Vec<String> = keys.value(key, default(plain, attending, plain_at))?;
        if list.len() != count {
            let allowed = format!("block_out_channels has {count}, and all three must agree");
            return Err(keys.wrong(key, &format!("a list of {}", list.len()), &allowed));
        }
        if let Some(other) = list.iter().find(|name| *name != plain && *name != attending) {
            return Err(unsupported(key, other, &format!("the blocks are {plain} and {attending}")));
        }
        *side = list.iter().map(|name| name == attending).collect();
    }
    Ok(sides)
}

fn mid_block(keys: &mut Keys, transformer: TransformerConfig) -> Result<Option<MidPlan>> {
    let key = "mid_block_type";
    let scale_factor = scale_factor(keys)?;
    let attention = Some(AttentionPlan::Transformer(transformer));
    match keys.value(key, Some("UNetMidBlock2DCrossAttn".to_string()))?.as_deref() {
        None => Ok(None),
        Some("UNetMidBlock2DCrossAttn") => Ok(Some(MidPlan { attention, scale_factor })),
        Some(other) => Err(unsupported(key, other, "it is `UNetMidBlock2DCrossAttn` or null")),
    }
}

fn class_embedding(keys: &mut Keys) -> Result<ClassEmbedding> {
    let key = "class_embed_type";
    let rows = keys.optional_integer("num_class_embeds", 1..=LARGEST)?;
    let width_key = "projection_class_embeddings_input_dim";
    let width = keys.optional_integer(width_key, 1..=LARGEST)?;
    match (keys.value(key, None::<String>)?.as_deref(), rows, width) {
        (None, None, _) => Ok(ClassEmbedding::None),
        (None, Some(rows), _) => Ok(ClassEmbedding::Table(rows)),
        (Some("timestep"), ..) => Ok(ClassEmbedding::Timestep),
        (Some("identity"), ..) => Ok(ClassEmbedding::Identity),
        (Some("projection"), _, Some(width)) => Ok(ClassEmbedding::Projection(width)),
        (Some("projection"), _, None) => Err(keys.wrong(width_key, "absent", "a projection of labels needs it")),
        (Some(other), ..) => Err(unsupported(key, other, "it is null, `timestep`, `projection` or `identity`")),
    }
}

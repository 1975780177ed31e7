//! From the arguments of the releases' constructor as JSON to a checked [`UNetModelConfig`].
//!
//! Every value is bounded here, so that building the network afterwards can neither overflow nor divide by zero.

use super::CLASS;
use super::config::{Heads, UNetModelConfig};
use crate::error::Result;
use crate::network::keys::{Keys, LARGEST, unsupported};
use crate::nn::{Activation, QkvOrder, ResnetConfig, ResnetNames};
use serde_json::Value;
use std::path::Path;

/// Groups that the releases normalise.
pub(super) const GROUPS: i64 = 32;

impl UNetModelConfig {
    /// Reads and checks a JSON object; `path` is for messages.
    ///
    /// # Errors
    /// For a value of a wrong type or out of range, for a part of the releases that is not built here, and for unknown
    /// keys that do not start with `_`.
    pub fn from_json(json: &Value, path: &Path) -> Result<Self> {
        let mut keys = Keys::new(CLASS, json, path)?;
        let positive = 1..=LARGEST;
        let in_channels = keys.integer("in_channels", 3, positive.clone())?;
        let model_channels = keys.integer("model_channels", 128, positive.clone())?;
        let channels = channels(&mut keys, model_channels)?;
        let new_order = keys.value("use_new_attention_order", false)?;
        let config = UNetModelConfig {
            json: json.clone(),
            image_size: keys.optional_integer("image_size", positive.clone())?,
            in_channels,
            model_channels,
            out_channels: keys.integer("out_channels", in_channels, positive.clone())?,
            num_res_blocks: keys.integer("num_res_blocks", 2, 1..=1000)? as usize,
            attention: attention(&mut keys, channels.len())?,
            channels,
            heads: heads(&mut keys)?,
            qkv_order: if new_order { QkvOrder::ProjectionsFirst } else { QkvOrder::HeadsFirst },
            num_classes: keys.optional_integer("num_classes", positive.clone())?,
            resnet: ResnetConfig {
                names: ResnetNames::OPENAI,
                embedding: 4 * model_channels,
                norm_groups: keys.integer("norm_num_groups", GROUPS, positive)?,
                norm_epsilon: 1e-5,
                activation: Activation::Silu,
                scale_shift: keys.value("use_scale_shift_norm", false)?,
            },
            resblock_updown: keys.value("resblock_updown", false)?,
            conv_resample: keys.value("conv_resample", true)?,
        };
        check_the_rest(&mut keys)?;
        keys.finish()?;
        Ok(config)
    }
}

/// `channel_mult` times `model_channels`; the factors may be fractions.
fn channels(keys: &mut Keys, model_channels: i64) -> Result<Vec<i64>> {
    let key = "channel_mult";
    let factors: Vec<f64> = keys.resolutions(key, vec![1.0, 2.0, 4.0, 8.0])?;
    let channels = factors.iter().map(|factor| (factor * model_channels as f64).round());
    let channels: Vec<f64> = channels.collect();
    match channels.iter().find(|channels| !(1.0..=LARGEST as f64).contains(*channels)) {
        Some(bad) => {
            Err(keys.wrong(key, &keys.seen(key), &format!("{bad} channels come of it, out of 1 to {LARGEST}")))
        }
        None => Ok(channels.into_iter().map(|channels| channels as i64).collect()),
    }
}

/// Attention at resolution i where 2^i is among `attention_resolutions`.
fn attention(keys: &mut Keys, count: usize) -> Result<Vec<bool>> {
    let factors: Vec<i64> = keys.value("attention_resolutions", vec![])?;
    Ok((0..count).map(|level| factors.contains(&(1 << level))).collect())
}

fn heads(keys: &mut Keys) -> Result<Heads> {
    let count = |key: &'static str, keys: &mut Keys| {
        // The releases write −1 where they mean nothing.
        let number = keys.integer_or_null(key, None, -1..=LARGEST)?;
        match number {
            Some(0) => Err(keys.wrong(key, "0", "it is a whole number above 0")),
            Some(-1) | None => Ok(None),
            number => Ok(number),
        }
    };
    let (down, up) = (count("num_heads", keys)?, count("num_heads_upsample", keys)?);
    match count("num_head_channels", keys)? {
        Some(width) => Ok(Heads::Channels(width)),
        None => {
            let down = down.unwrap_or(1);
            Ok(Heads::Count { down, up: up.unwrap_or(down) })
        }
    }
}

/// What changes nothing at inference, and what is not built here.
fn check_the_rest(keys: &mut Keys) -> Result<()> {
    keys.finite("dropout", 0.0)?;
    for key in ["use_checkpoint", "use_fp16", "legacy"] {
        keys.value(key, false)?;
    }
    if keys.integer("dims", 2, 1..=3)? != 2 {
        return Err(unsupported("dims", &keys.seen("dims"), "only networks over images, with 2, are built here"));
    }
    let transformer = keys.value("use_spatial_transformer", false)?;
    for key in ["context_dim", "n_embed", "transformer_depth"] {
        let given = keys.take(key).is_some_and(|value| !value.is_null());
        if given && (transformer || key != "transformer_depth") {
            return Err(unsupported(key, &keys.seen(key), "networks with a context or a codebook are not built here"));
        }
    }
    if transformer {
        return Err(unsupported("use_spatial_transformer", "true", "transformers with a context are not built here"));
    }
    Ok(())
}

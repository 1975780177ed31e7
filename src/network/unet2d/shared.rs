//! What both classes read by the same rules, each with defaults of its own.

use super::config::{BodyPlan, TimeEmbeddingType};
use super::text_time::TextTimeConfig;
use crate::error::Result;
use crate::network::keys::{Keys, LARGEST, unsupported};
use crate::nn::{Activation, ResnetConfig, ResnetNames};

/// What the two classes have under other keys or with other defaults.
pub(super) struct Own {
    pub body: BodyPlan,
    pub time_embedding_type: TimeEmbeddingType,
    pub time_activation: Activation,
    pub cross_attention_dim: Option<i64>,
    pub text_time: Option<TextTimeConfig>,
}

/// `block_out_channels`.
pub(super) fn channels(keys: &mut Keys, default: &[i64]) -> Result<Vec<i64>> {
    let channels = keys.resolutions("block_out_channels", default.to_vec())?;
    keys.check_all("block_out_channels", &channels, 1..=LARGEST)?;
    Ok(channels)
}

/// `down_block_types` or `up_block_types`, one for each of `count` resolutions.
pub(super) fn block_types(keys: &mut Keys, key: &'static str, default: [&str; 4], count: usize) -> Result<Vec<String>> {
    let names = keys.value(key, default.map(str::to_string).to_vec())?;
    if names.len() == count {
        return Ok(names);
    }
    let allowed = format!("block_out_channels has {count}, and all three must agree");
    Err(keys.wrong(key, &format!("a list of {}", names.len()), &allowed))
}

/// Every residual block; `first` is the number of channels of the first.
pub(super) fn resnet(keys: &mut Keys, first: i64) -> Result<ResnetConfig> {
    Ok(ResnetConfig {
        names: ResnetNames::DIFFUSERS,
        embedding: match keys.optional_integer("time_embedding_dim", 0..=LARGEST)? {
            None | Some(0) => 4 * first,
            Some(width) => width,
        },
        norm_groups: groups(keys)?,
        norm_epsilon: match keys.finite("norm_eps", 1e-5)? {
            eps if eps < 0.0 => return Err(keys.wrong("norm_eps", &eps.to_string(), "it must not be negative")),
            eps => eps,
        },
        activation: act_fn(keys)?,
        scale_shift: scale_shift(keys)?,
    })
}

fn scale_shift(keys: &mut Keys) -> Result<bool> {
    let key = "resnet_time_scale_shift";
    match keys.value(key, "default".to_string())?.as_str() {
        "default" => Ok(false),
        "scale_shift" => Ok(true),
        other => Err(unsupported(key, other, "it is `default` or `scale_shift`")),
    }
}

fn groups(keys: &mut Keys) -> Result<i64> {
    let key = "norm_num_groups";
    match keys.integer_or_null(key, Some(32), 1..=LARGEST)? {
        Some(groups) => Ok(groups),
        None => Err(unsupported(key, "null", "only skip blocks, which this version lacks, choose their own groups")),
    }
}

fn act_fn(keys: &mut Keys) -> Result<Activation> {
    let name = keys.value("act_fn", "silu".to_string())?;
    let known = || format!("the activations are {}", Activation::NAMES);
    Activation::from_name(&name).ok_or_else(|| unsupported("act_fn", &name, &known()))
}

/// 1, or 0 for zeros below and to the right only.
pub(super) fn downsample_padding(keys: &mut Keys) -> Result<i64> {
    let key = "downsample_padding";
    match keys.integer(key, 1, i64::MIN..=i64::MAX)? {
        padding @ (0 | 1) => Ok(padding),
        other => Err(unsupported(key, &other.to_string(), "with any but 0 and 1 the sizes would not be halved")),
    }
}

/// What the layers of the middle block divide their outputs by; `None` where there is no such block, called `name`.
pub(super) fn mid_block(keys: &mut Keys, name: &str) -> Result<Option<f64>> {
    let key = "mid_block_type";
    let scale_factor = match keys.finite("mid_block_scale_factor", 1.0)? {
        0.0 => return Err(keys.wrong("mid_block_scale_factor", "0", "the middle block divides by it")),
        factor => factor,
    };
    match keys.value(key, Some(name.to_string()))? {
        None => Ok(None),
        Some(known) if known == name => Ok(Some(scale_factor)),
        Some(other) => Err(unsupported(key, &other, &format!("it is `{name}` or null"))),
    }
}

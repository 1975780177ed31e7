//! From config.json to a checked [`UNet2dConfig`], with diffusers' defaults for absent keys.
//!
//! Every value is bounded here, so that building the network afterwards can neither overflow nor divide by zero.

use super::config::{BodyPlan, ClassEmbedding, TimeEmbeddingType, UNet2dConfig};
use super::{CONDITIONAL_CLASS, UNCONDITIONAL_CLASS, conditional, unconditional};
use crate::error::Result;
use crate::network::keys::{Keys, LARGEST, unsupported};
use crate::nn::{Activation, ResnetConfig, ResnetNames};
use serde_json::Value;
use std::path::Path;

/// What the two classes have under other keys or with other defaults.
pub(super) struct Own {
    pub body: BodyPlan,
    pub time_embedding_type: TimeEmbeddingType,
    pub time_activation: Activation,
    pub cross_attention_dim: Option<i64>,
}

impl UNet2dConfig {
    /// Reads and checks the JSON object of a config.json, that of a `UNet2DModel` unless it names the other class;
    /// `path` is for messages.
    ///
    /// # Errors
    /// A file error for a value of a wrong type, out of range or against another one; an unsupported error for values
    /// that diffusers knows and this version does not, and for unknown keys that do not start with `_`.
    pub fn from_json(json: &Value, path: &Path) -> Result<Self> {
        let attends = json.get("_class_name").and_then(Value::as_str) == Some(CONDITIONAL_CLASS);
        let class_name = if attends { CONDITIONAL_CLASS } else { UNCONDITIONAL_CLASS };
        let mut keys = Keys::new(class_name, json, path)?;
        let own = if attends { conditional::read(&mut keys)? } else { unconditional::read(&mut keys)? };
        let config = UNet2dConfig {
            class_name,
            json: json.clone(),
            sample_size: sample_size(&mut keys)?,
            time_embedding_type: own.time_embedding_type,
            time_activation: own.time_activation,
            freq_shift: keys.finite("freq_shift", 0.0)?,
            flip_sin_to_cos: keys.value("flip_sin_to_cos", true)?,
            class_embedding: class_embedding(&mut keys, attends)?,
            cross_attention_dim: own.cross_attention_dim,
            center_input_sample: keys.value("center_input_sample", false)?,
            body: own.body,
        };
        if config.time_embedding_type == TimeEmbeddingType::Positional {
            check_shift(&keys, config.freq_shift, config.body.channels[0])?;
        }
        keys.finish()?;
        Ok(config)
    }
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

/// What a label is turned into; `projected` where it may be a vector.
fn class_embedding(keys: &mut Keys, projected: bool) -> Result<ClassEmbedding> {
    let (key, width_key) = ("class_embed_type", "projection_class_embeddings_input_dim");
    let rows = keys.optional_integer("num_class_embeds", 1..=LARGEST)?;
    let width = if projected { keys.optional_integer(width_key, 1..=LARGEST)? } else { None };
    match (keys.value(key, None::<String>)?.as_deref(), rows, width) {
        (None, None, _) => Ok(ClassEmbedding::None),
        (None, Some(rows), _) => Ok(ClassEmbedding::Table(rows)),
        (Some("timestep"), ..) => Ok(ClassEmbedding::Timestep),
        (Some("identity"), ..) => Ok(ClassEmbedding::Identity),
        (Some("projection"), _, Some(width)) => Ok(ClassEmbedding::Projection(width)),
        (Some("projection"), ..) if projected => {
            Err(keys.wrong(width_key, "absent", "a projection of labels needs it"))
        }
        (Some(other), ..) => {
            let more = if projected { ", `projection`" } else { "" };
            Err(unsupported(key, other, &format!("it is null, `timestep`{more} or `identity`")))
        }
    }
}

/// Height and width of the training images: null, one number for both, or two.
fn sample_size(keys: &mut Keys) -> Result<Option<[i64; 2]>> {
    let key = "sample_size";
    let size = match keys.take(key) {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::Array(sides)) => match sides.as_slice() {
            [height, width] => height.as_i64().zip(width.as_i64()).map(|(height, width)| [height, width]),
            _ => None,
        },
        Some(side) => side.as_i64().map(|side| [side, side]),
    };
    match size {
        Some(size) if size.iter().all(|side| (1..=LARGEST).contains(side)) => Ok(Some(size)),
        _ => Err(keys.wrong(key, &keys.seen(key), &format!("it is null, a number from 1 to {LARGEST}, or two"))),
    }
}

/// Refuses a `freq_shift` with which the frequencies of `width` sinusoids are not finite.
fn check_shift(keys: &Keys, freq_shift: f64, width: i64) -> Result<()> {
    let half = (width / 2) as f64;
    if half > freq_shift {
        return Ok(());
    }
    let allowed = format!("it must be below half of block_out_channels[0], which is {half}");
    Err(keys.wrong("freq_shift", &freq_shift.to_string(), &allowed))
}

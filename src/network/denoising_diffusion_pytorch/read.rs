//! From the arguments of the original's constructor as JSON to a checked [`UnetConfig`].
//!
//! Two keys say what its releases fixed in their code: `num_mem_kv`, and `resnet_block_groups` as null for the releases
//! without groups. Every value is bounded here, so that building the network can neither overflow nor divide by zero.

use super::CLASS;
use super::config::{BlockNorm, StageAttention, TimeFeatures, UnetConfig};
use crate::error::Result;
use crate::network::keys::{Keys, LARGEST};
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::path::Path;

/// More resolutions than any network has.
const RESOLUTIONS: usize = 30;
/// More heads, or channels of one, than any network has.
const LARGEST_HEAD: i64 = 1 << 12;

impl UnetConfig {
    /// Reads and checks a JSON object; `path` is for messages.
    ///
    /// # Errors
    /// For a value of a wrong type or out of range, and for unknown keys that do not start with `_`.
    pub fn from_json(json: &Value, path: &Path) -> Result<Self> {
        let mut keys = Keys::new(CLASS, json, path)?;
        let positive = 1..=LARGEST;
        let dim = keys.integer("dim", 64, 4..=LARGEST)?;
        let dims = dims(&mut keys, dim)?;
        let channels = keys.integer("channels", 3, positive.clone())?;
        let learned_variance = keys.value("learned_variance", false)?;
        let out_dim = if learned_variance { 2 * channels } else { channels };
        let config = UnetConfig {
            json: json.clone(),
            image_size: keys.optional_integer("image_size", positive.clone())?,
            channels,
            self_condition: keys.value("self_condition", false)?,
            out_dim: keys.optional_integer("out_dim", positive.clone())?.unwrap_or(out_dim),
            dim,
            time: time(&mut keys, dim)?,
            init_dim: keys.optional_integer("init_dim", positive.clone())?.unwrap_or(dim),
            attention: attention(&mut keys, dims.len())?,
            dims,
            num_mem_kv: keys.integer("num_mem_kv", 4, 0..=LARGEST)?,
            norm: match keys.optional_integer("resnet_block_groups", positive)? {
                Some(groups) => BlockNorm::Group(groups),
                None => BlockNorm::Rms,
            },
        };
        // They change nothing but training, and how attention is computed.
        keys.finite("dropout", 0.0)?;
        keys.value("flash_attn", false)?;
        keys.finish()?;
        Ok(config)
    }
}

/// `dim_mults` times `dim`.
fn dims(keys: &mut Keys, dim: i64) -> Result<Vec<i64>> {
    let key = "dim_mults";
    let factors: Vec<i64> = keys.value(key, vec![1, 2, 4, 8])?;
    if factors.is_empty() || factors.len() > RESOLUTIONS {
        let seen = format!("a list of {}", factors.len());
        return Err(keys.wrong(key, &seen, &format!("it must have 1 to {RESOLUTIONS} entries")));
    }
    match factors.iter().find(|factor| !(1..=LARGEST / dim).contains(*factor)) {
        Some(bad) => Err(keys.wrong(key, &bad.to_string(), &format!("each must be from 1 to {}", LARGEST / dim))),
        None => Ok(factors.into_iter().map(|factor| factor * dim).collect()),
    }
}

fn time(keys: &mut Keys, dim: i64) -> Result<TimeFeatures> {
    let learned = keys.value("learned_sinusoidal_cond", false)?;
    let random = keys.value("random_fourier_features", false)?;
    let width = keys.integer("learned_sinusoidal_dim", 16, 2..=LARGEST)?;
    let theta = keys.finite("sinusoidal_pos_emb_theta", 10000.0)?;
    if learned || random {
        return match width % 2 {
            0 => Ok(TimeFeatures::Fourier(width / 2)),
            _ => Err(keys.wrong("learned_sinusoidal_dim", &width.to_string(), "it must be even")),
        };
    }
    if theta <= 0.0 {
        return Err(keys.wrong("sinusoidal_pos_emb_theta", &theta.to_string(), "it must be above 0"));
    }
    match dim % 2 {
        0 => Ok(TimeFeatures::Sinusoids { theta }),
        _ => Err(keys.wrong("dim", &dim.to_string(), "it must be even: half of the features are sines")),
    }
}

fn attention(keys: &mut Keys, count: usize) -> Result<Vec<StageAttention>> {
    let heads = each(keys, "attn_heads", 4, count)?;
    let head_dims = each(keys, "attn_dim_head", 32, count)?;
    let key = "full_attn";
    let given = keys.take(key).is_some_and(|value| !value.is_null());
    // Without a word only the coarsest resolution has it.
    let full = if given { each(keys, key, false, count)? } else { (1..=count).map(|i| i == count).collect() };
    for (key, numbers) in [("attn_heads", &heads), ("attn_dim_head", &head_dims)] {
        if let Some(bad) = numbers.iter().find(|number| !(1..=LARGEST_HEAD).contains(*number)) {
            return Err(keys.wrong(key, &bad.to_string(), &format!("it must be from 1 to {LARGEST_HEAD}")));
        }
    }
    let all = full.into_iter().zip(heads).zip(head_dims);
    Ok(all.map(|((full, heads), head_dim)| StageAttention { full, heads, head_dim }).collect())
}

/// A value for each resolution: one for all, or a list.
fn each<T: DeserializeOwned + Clone>(keys: &mut Keys, key: &'static str, default: T, count: usize) -> Result<Vec<T>> {
    if !keys.take(key).is_some_and(Value::is_array) {
        return Ok(vec![keys.value(key, default)?; count]);
    }
    let list: Vec<T> = keys.value(key, vec![])?;
    if list.len() == count {
        return Ok(list);
    }
    let seen = format!("a list of {}", list.len());
    Err(keys.wrong(key, &seen, &format!("dim_mults has {count}, and both must agree")))
}

//! From the arguments of the original's constructor as JSON to a checked [`UnetConfig`].
//!
//! Two keys say what its releases fixed in their code: `num_mem_kv`, and `resnet_block_groups` as null for the releases
//! without groups. Every value is bounded here, so that building the network can neither overflow nor divide by zero.

use super::CLASS;
use super::config::{BlockNorm, StageAttention, TimeFeatures, UnetConfig};
use crate::error::Result;
use crate::network::keys::{Keys, LARGEST};
use serde_json::Value;
use std::path::Path;

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
    let factors = keys.resolutions("dim_mults", vec![1, 2, 4, 8])?;
    keys.check_all("dim_mults", &factors, 1..=LARGEST / dim)?;
    Ok(factors.into_iter().map(|factor| factor * dim).collect())
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
    let mut each = |key, default| -> Result<Vec<i64>> {
        let numbers = keys.each(key, default, count, "dim_mults")?;
        keys.check_all(key, &numbers, 1..=LARGEST_HEAD)?;
        Ok(numbers)
    };
    let (heads, head_dims) = (each("attn_heads", 4)?, each("attn_dim_head", 32)?);
    let key = "full_attn";
    // Without a word only the coarsest resolution has it.
    let full = match keys.take(key) {
        None | Some(Value::Null) => (1..=count).map(|i| i == count).collect(),
        Some(_) => keys.each(key, false, count, "dim_mults")?,
    };
    let all = full.into_iter().zip(heads).zip(head_dims);
    Ok(all.map(|((full, heads), head_dim)| StageAttention { full, heads, head_dim }).collect())
}

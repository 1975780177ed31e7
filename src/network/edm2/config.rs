//! What an EDM2 U-Net is built to: the arguments of the original constructor, read from JSON and checked.

use super::CLASS;
use crate::error::Result;
use crate::network::keys::{Keys, LARGEST};
use serde_json::Value;
use std::path::Path;

/// A checked configuration. Field names are those of the original.
#[derive(Debug, Clone)]
pub(super) struct Edm2Config {
    /// The JSON that all of this was read from.
    pub json: Value,
    /// Height and width of the training images.
    pub img_resolution: i64,
    pub img_channels: i64,
    /// Number of classes; 0 for an unconditional network.
    pub label_dim: i64,
    /// Channels at each resolution, the finest first.
    pub channels: Vec<i64>,
    /// Width of the features of the noise level.
    pub noise: i64,
    /// Width of the embedding.
    pub embedding: i64,
    pub num_blocks: usize,
    /// Whether there is attention at each resolution.
    pub attention: Vec<bool>,
    pub label_balance: f64,
    pub concat_balance: f64,
    pub resample_filter: Vec<f64>,
    pub channels_per_head: i64,
    pub res_balance: f64,
    pub attn_balance: f64,
    /// What activations are clipped to.
    pub clip_act: Option<f64>,
}

impl Edm2Config {
    /// Reads and checks a JSON object; `path` is for messages.
    ///
    /// # Errors
    /// For a value of a wrong type or out of range, and for unknown keys that do not start with `_`.
    pub fn from_json(json: &Value, path: &Path) -> Result<Self> {
        let mut keys = Keys::new(CLASS, json, path)?;
        let model_channels = keys.integer("model_channels", 192, 1..=1 << 16)?;
        let factors: Vec<i64> = keys.resolutions("channel_mult", vec![1, 2, 3, 4])?;
        keys.check_all("channel_mult", &factors, 1..=1000)?;
        let channels: Vec<i64> = factors.iter().map(|factor| factor * model_channels).collect();
        let img_resolution = required(&mut keys, "img_resolution", 1)?;
        if img_resolution % (1 << (channels.len() - 1)) != 0 {
            let why = format!("it is halved {} times", channels.len() - 1);
            return Err(keys.wrong("img_resolution", &img_resolution.to_string(), &why));
        }
        let (first, widest) = (channels[0], channels.iter().copied().max().unwrap_or(1));
        let attention: Vec<i64> = keys.value("attn_resolutions", vec![16, 8])?;
        keys.finite("dropout", 0.0)?;
        let clip_act: Option<f64> = keys.value("clip_act", Some(256.0))?;
        let config = Edm2Config {
            json: json.clone(),
            img_resolution,
            img_channels: required(&mut keys, "img_channels", 1)?,
            label_dim: required(&mut keys, "label_dim", 0)?,
            noise: keys.optional_integer("channel_mult_noise", 1..=1000)?.map_or(first, |m| m * model_channels),
            embedding: keys.optional_integer("channel_mult_emb", 1..=1000)?.map_or(widest, |m| m * model_channels),
            num_blocks: keys.integer("num_blocks", 3, 1..=1000)? as usize,
            attention: (0..channels.len()).map(|level| attention.contains(&(img_resolution >> level))).collect(),
            channels,
            label_balance: balance(&mut keys, "label_balance", 0.5)?,
            concat_balance: balance(&mut keys, "concat_balance", 0.5)?,
            resample_filter: keys.resolutions("resample_filter", vec![1.0, 1.0])?,
            channels_per_head: keys.integer("channels_per_head", 64, 1..=LARGEST)?,
            res_balance: balance(&mut keys, "res_balance", 0.3)?,
            attn_balance: balance(&mut keys, "attn_balance", 0.3)?,
            clip_act,
        };
        keys.finish()?;
        Ok(config)
    }

    /// Attention heads over so many channels; 0 where they do not make one.
    pub fn heads(&self, channels: i64) -> i64 {
        channels / self.channels_per_head
    }
}

/// A number that the constructor has no default for, `least` or more.
fn required(keys: &mut Keys, key: &'static str, least: i64) -> Result<i64> {
    match keys.take(key) {
        Some(_) => keys.integer(key, 0, least..=LARGEST),
        None => Err(keys.wrong(key, "absent", "it has no default")),
    }
}

/// A share of the second of two paths.
fn balance(keys: &mut Keys, key: &'static str, default: f64) -> Result<f64> {
    let t = keys.value(key, default)?;
    if (0.0..=1.0).contains(&t) { Ok(t) } else { Err(keys.wrong(key, &t.to_string(), "it lies between 0 and 1")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn defaults_are_those_of_the_constructor() {
        let json = json!({"img_resolution": 64, "img_channels": 4, "label_dim": 1000});
        let config = Edm2Config::from_json(&json, Path::new("test")).unwrap();
        assert_eq!((config.noise, config.embedding, config.num_blocks), (192, 768, 3));
        assert_eq!(config.attention, [false, false, true, true]);
        assert_eq!((config.clip_act, config.heads(768)), (Some(256.0), 12));
    }

    #[test]
    fn what_cannot_be_built_is_refused_by_name() {
        for (key, value, says) in [
            ("img_resolution", json!(20), "it is halved 3 times"),
            ("res_balance", json!(2), "between 0 and 1"),
            ("label_dim", json!(-1), "`label_dim` is -1"),
            ("bandwidth", json!(2), "bandwidth"),
        ] {
            let mut json = json!({"img_resolution": 64, "img_channels": 4, "label_dim": 1000});
            json[key] = value;
            let message = Edm2Config::from_json(&json, Path::new("test")).unwrap_err().to_string();
            assert!(message.contains(says), "{message}");
        }
    }
}

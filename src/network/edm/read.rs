//! From the arguments of the original constructors as JSON to a checked [`EdmUNetConfig`].
//!
//! Every value is bounded here, so that building the network afterwards can neither overflow nor divide by zero.

use super::config::{EdmUNetConfig, Encoder, Family, Naming};
use super::{DHARIWAL, SONG};
use crate::error::Result;
use crate::network::keys::{Keys, LARGEST};
use serde_json::Value;
use std::path::Path;

impl EdmUNetConfig {
    /// Reads and checks a JSON object; `path` is for messages.
    ///
    /// # Errors
    /// For a value of a wrong type or out of range, and for unknown keys that do not start with `_`.
    pub fn from_json(json: &Value, path: &Path) -> Result<Self> {
        let song = json.get("_class_name").and_then(Value::as_str) == Some(SONG);
        let mut keys = Keys::new(if song { SONG } else { DHARIWAL }, json, path)?;
        let positive = 1..=LARGEST;
        let model_channels = keys.integer("model_channels", if song { 128 } else { 192 }, 1..=1 << 16)?;
        let channels = channels(&mut keys, model_channels, if song { &[1, 2, 2, 2] } else { &[1, 2, 3, 4] })?;
        let img_resolution = required(&mut keys, "img_resolution")?;
        if img_resolution % (1 << (channels.len() - 1)) != 0 {
            let why = format!("it is halved {} times", channels.len() - 1);
            return Err(keys.wrong("img_resolution", &img_resolution.to_string(), &why));
        }
        let default_attention = if song { vec![16] } else { vec![32, 16, 8] };
        let attention: Vec<i64> = keys.value("attn_resolutions", default_attention)?;
        keys.finite("dropout", 0.1)?;
        let config = EdmUNetConfig {
            json: json.clone(),
            naming: Naming::Placed,
            family: if song { song_family(&mut keys)? } else { dhariwal_family(&mut keys)? },
            img_resolution: Some(img_resolution),
            in_channels: required(&mut keys, "in_channels")?,
            out_channels: required(&mut keys, "out_channels")?,
            num_scales: None,
            label_dim: keys.integer("label_dim", 0, 0..=LARGEST)?,
            has_null_label: keys.finite("label_dropout", 0.0)? > 0.0,
            augment_dim: keys.integer("augment_dim", 0, 0..=LARGEST)?,
            model_channels,
            noise_channels: match song {
                true => model_channels * keys.integer("channel_mult_noise", 1, 1..=1000)?,
                false => model_channels,
            },
            embedding: model_channels * keys.integer("channel_mult_emb", 4, 1..=1000)?,
            attention: (0..channels.len()).map(|level| attention.contains(&(img_resolution >> level))).collect(),
            num_blocks: keys.integer("num_blocks", if song { 4 } else { 3 }, 1..=1000)? as usize,
            channels,
        };
        keys.check_all("model_channels times its factors", &[config.noise_channels, config.embedding], positive)?;
        keys.finish()?;
        Ok(config)
    }
}

/// A number that the constructors have no default for.
fn required(keys: &mut Keys, key: &'static str) -> Result<i64> {
    // 0 is out of range, and seen as what it is: absent.
    match keys.take(key) {
        Some(_) => keys.integer(key, 0, 1..=LARGEST),
        None => Err(keys.wrong(key, "absent", "it has no default")),
    }
}

/// `channel_mult` times `model_channels`.
fn channels(keys: &mut Keys, model_channels: i64, default: &[i64]) -> Result<Vec<i64>> {
    let factors: Vec<i64> = keys.resolutions("channel_mult", default.to_vec())?;
    keys.check_all("channel_mult", &factors, 1..=1000)?;
    Ok(factors.into_iter().map(|factor| factor * model_channels).collect())
}

fn dhariwal_family(keys: &mut Keys) -> Result<Family> {
    Ok(Family::Dhariwal { channels_per_head: keys.integer("channels_per_head", 64, 1..=LARGEST)? })
}

fn song_family(keys: &mut Keys) -> Result<Family> {
    let mut choice = |key: &'static str, default: &str, known: &[&'static str]| {
        let name: String = keys.value(key, default.to_string())?;
        let found = known.iter().position(|known| **known == *name);
        found.ok_or_else(|| keys.wrong(key, &name, &format!("it is one of {}", known.join(", "))))
    };
    let fourier = choice("embedding_type", "positional", &["positional", "fourier"])? == 1;
    let encoder = match choice("encoder_type", "standard", &["standard", "skip", "residual"])? {
        0 => Encoder::Standard,
        1 => Encoder::Skip,
        _ => Encoder::Residual,
    };
    let skip_decoder = choice("decoder_type", "standard", &["standard", "skip"])? == 1;
    let filter: Vec<f64> = keys.resolutions("resample_filter", vec![1.0, 1.0])?;
    if filter.iter().sum::<f64>() == 0.0 {
        return Err(keys.wrong("resample_filter", &keys.seen("resample_filter"), "its sum is 0"));
    }
    Ok(Family::Song { fourier, encoder, skip_decoder, filter, rescaled: true })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(mut changes: Value) -> Result<EdmUNetConfig> {
        let mut config = json!({"_class_name": SONG, "img_resolution": 32, "in_channels": 3, "out_channels": 3});
        config.as_object_mut().unwrap().append(changes.as_object_mut().unwrap());
        EdmUNetConfig::from_json(&config, Path::new("test"))
    }

    #[test]
    fn defaults_are_those_of_the_constructors() {
        let song = read(json!({})).unwrap();
        assert_eq!(
            (song.channels.as_slice(), song.embedding, song.num_blocks),
            ([128, 256, 256, 256].as_slice(), 512, 4)
        );
        assert_eq!((song.attention.as_slice(), song.first()), ([false, true, false, false].as_slice(), 128));
        let adm = read(json!({"_class_name": DHARIWAL, "label_dim": 10, "channel_mult": [2, 4]})).unwrap();
        assert_eq!((adm.first(), adm.num_blocks, adm.filter()), (384, 3, [1.0, 1.0].as_slice()));
        assert_eq!((adm.label_dim, adm.has_null_label), (10, false));
    }

    #[test]
    fn what_cannot_be_built_is_refused_by_name() {
        for (changes, says) in [
            (json!({"img_resolution": 20}), "`img_resolution` is 20: it is halved 3 times"),
            (json!({"img_resolution": 0}), "`img_resolution` is 0"),
            (json!({"encoder_type": "dense"}), "one of standard, skip, residual"),
            (json!({"num_heads": 4}), "num_heads"),
            (json!({"channel_mult": [0]}), "`channel_mult` is 0"),
            (json!({"resample_filter": [1, -1]}), "its sum is 0"),
        ] {
            let message = read(changes).unwrap_err().to_string();
            assert!(message.contains(says), "{message}");
        }
        let missing = EdmUNetConfig::from_json(&json!({"_class_name": SONG}), Path::new("test")).unwrap_err();
        assert!(missing.to_string().contains("`img_resolution` is absent"), "{missing}");
    }
}

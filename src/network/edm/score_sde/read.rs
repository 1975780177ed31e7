//! From a configuration in the trainer's words as JSON to a checked [`EdmUNetConfig`]. `attention_levels` are the
//! resolutions that have attention, 0 for the finest: the trainer names them by their height, which no weight tells.

use crate::error::Result;
use crate::network::edm::NCSNPP;
use crate::network::edm::config::{EdmUNetConfig, Encoder, Family, Naming};
use crate::network::keys::{Keys, LARGEST};
use serde_json::Value;
use std::path::Path;

/// Reads and checks a JSON object; `path` is for messages.
pub(in super::super) fn config(json: &Value, path: &Path) -> Result<EdmUNetConfig> {
    let mut keys = Keys::new(NCSNPP, json, path)?;
    let nf = keys.integer("nf", 128, 4..=1 << 16)?;
    let factors: Vec<i64> = keys.resolutions("ch_mult", vec![1, 2, 2, 2])?;
    keys.check_all("ch_mult", &factors, 1..=1000)?;
    let levels: Vec<usize> = keys.value("attention_levels", vec![1])?;
    let fourier = choice(&mut keys, "embedding_type", &["positional", "fourier"])? == 1;
    let encoder = match choice(&mut keys, "progressive_input", &["none", "input_skip", "residual"])? {
        0 => Encoder::Standard,
        1 => Encoder::Skip,
        _ => Encoder::Residual,
    };
    let skip_decoder = choice(&mut keys, "progressive", &["none", "output_skip"])? == 1;
    let taps: Vec<f64> = keys.resolutions("fir_kernel", vec![1.0, 3.0, 3.0, 1.0])?;
    if taps.iter().sum::<f64>() == 0.0 {
        return Err(keys.wrong("fir_kernel", &keys.seen("fir_kernel"), "its sum is 0"));
    }
    let filter = if keys.value("fir", true)? { taps } else { vec![1.0, 1.0] };
    let channels = keys.integer("num_channels", 3, 1..=LARGEST)?;
    // Fewer come out where some are auxiliary variables.
    let output_channels = keys.optional_integer("output_channels", 1..=LARGEST)?;
    let config = EdmUNetConfig {
        json: json.clone(),
        naming: Naming::Listed,
        family: Family::Song { fourier, encoder, skip_decoder, filter, rescaled: keys.value("skip_rescale", true)? },
        img_resolution: keys.optional_integer("image_size", 1..=LARGEST)?,
        in_channels: channels,
        out_channels: output_channels.unwrap_or(channels),
        num_scales: keys.optional_integer("num_scales", 1..=LARGEST)?,
        label_dim: 0,
        has_null_label: false,
        augment_dim: 0,
        model_channels: nf,
        noise_channels: if fourier { 2 * nf } else { nf },
        embedding: 4 * nf,
        attention: (0..factors.len()).map(|level| levels.contains(&level)).collect(),
        num_blocks: keys.integer("num_res_blocks", 4, 1..=1000)? as usize,
        channels: factors.into_iter().map(|factor| factor * nf).collect(),
    };
    keys.finish()?;
    Ok(config)
}

/// The place of a key's value among the known ones; the first where it is absent.
fn choice(keys: &mut Keys, key: &'static str, known: &[&'static str]) -> Result<usize> {
    let name: String = keys.value(key, known.first().copied().unwrap_or_default().to_string())?;
    let found = known.iter().position(|known| **known == *name);
    found.ok_or_else(|| keys.wrong(key, &name, &format!("it is one of {}", known.join(", "))))
}

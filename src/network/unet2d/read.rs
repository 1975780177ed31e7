//! From config.json to a checked [`UNet2dConfig`], with diffusers' defaults for absent keys.
//!
//! Every value is bounded here, so that building the network afterwards can neither overflow nor divide by zero.

use super::config::{ClassEmbedding, TimeEmbeddingType, UNet2dConfig};
use super::{CONDITIONAL_CLASS, UNCONDITIONAL_CLASS, conditional, unconditional};
use crate::error::Result;
use crate::network::keys::{Keys, LARGEST, unsupported};
use serde_json::Value;
use std::path::Path;

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
            text_time: own.text_time,
            center_input_sample: keys.value("center_input_sample", false)?,
            body: own.body,
        };
        if config.time_embedding_type == TimeEmbeddingType::Positional {
            let features = config.text_time.map(|text_time| text_time.features);
            check_shift(&keys, config.freq_shift, features.into_iter().fold(config.body.channels[0], i64::min))?;
        }
        keys.finish()?;
        Ok(config)
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

/// Refuses a `freq_shift` with which the frequencies of `width` sinusoids, the fewest of the network, are not finite.
fn check_shift(keys: &Keys, freq_shift: f64, width: i64) -> Result<()> {
    let half = (width / 2) as f64;
    if half > freq_shift {
        return Ok(());
    }
    let allowed = format!("it must be below half the number of sinusoids, which is {half}");
    Err(keys.wrong("freq_shift", &freq_shift.to_string(), &allowed))
}

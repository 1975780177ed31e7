//! From the names and shapes of a state dict, and the trainer's configuration, to that of the network.

use super::settings::{Lookup, Settings};
use crate::error::{Error, Result};
use crate::network::recognise::{Evidence, Shapes, StateDict, Told, Usage, Use};
use crate::time::{Axis, Conditioning};
use serde_json::Value;

pub(super) const STATE_DICT: StateDict = StateDict {
    known_as: "SEDD or MDLM",
    anchors: &[
        "vocab_embed.embedding",
        "sigma_map.mlp.0.weight",
        "blocks.0.attn_qkv.weight",
        "blocks.0.adaLN_modulation.weight",
        "output_layer.norm_final.weight",
        "output_layer.linear.weight",
    ],
    config,
    note: |_| None,
    usage: Some(Usage {
        buffers: &[],
        read: |Evidence { shapes, told, .. }| {
            let settings = settings(told)?;
            let Some(schedule) = settings.schedule(shapes.size(SYMBOLS, 0)?)? else { return Ok(None) };
            let conditioning = Conditioning::scaled(Axis::Sigma, 1.0);
            Ok(Some(Use { schedule, prediction: settings.prediction(), conditioning }))
        },
    }),
};

const SYMBOLS: &str = "vocab_embed.embedding";

/// The published sizes small and medium: channels, blocks, heads.
const PUBLISHED: [[i64; 3]; 2] = [[768, 12, 12], [1024, 24, 16]];

fn config(shapes: &Shapes, told: &Told) -> Result<Value> {
    let settings = settings(told)?;
    let (rows, width) = (shapes.size(SYMBOLS, 0)?, shapes.size(SYMBOLS, 1)?);
    let (cond_dim, blocks) = (shapes.size("sigma_map.mlp.0.weight", 0)?, shapes.count("blocks.") as i64);
    let published = PUBLISHED.iter().find(|size| size[..2] == [width, blocks]).map(|size| size[2]);
    let heads = match settings.heads().or(published) {
        Some(heads) => heads,
        None => {
            let head_dims = [64, 32, 16, 8].into_iter();
            let likely: Vec<i64> = head_dims.filter(|dim| width % dim == 0).map(|dim| width / dim).collect();
            told.required("n_heads", "the number of attention heads", &likely)?
        }
    };
    Ok(settings.architecture([rows, width, cond_dim, blocks], heads))
}

/// What a configuration in `--config`, or a few words, say.
fn settings(told: &Told) -> Result<Settings> {
    let get: &Lookup = &|key| told.get(key);
    let settings = Settings::read(get)?;
    if get("model").is_some_and(Value::is_object) || get("model_type").is_some() {
        told.accept_all();
    }
    settings.ok_or_else(|| {
        Error::mismatch(
            "which of the two it is, and on which graph it was trained, cannot be inferred from the weight shapes",
            "Give the configuration of its training, --config FILE (config.json, or .hydra/config.yaml of its run); or say it, \
             --config graph=absorb (likely: absorb, uniform), or for MDLM --config parameterization=subs.",
        )
    })
}

//! DiT, the diffusion transformer of Peebles & Xie (2023, arXiv 2212.09748) with adaLN-Zero, in our own layers.
//!
//! Two releases of one computation, under the parameter names of each: the paper's code (facebookresearch/DiT, class
//! `DiT`), whose state dicts come without a configuration, and diffusers' `DiTTransformer2DModel` (reference: diffusers
//! 0.42.1), called `Transformer2DModel` in older files. They differ in the frequencies of the time embedding.
//!
//! c = MLP(features(t)) + table_class; h = patches(x) + places; blocks, modulated and gated by c; y = patches to
//! pixels. All channels of the output are returned: with a learned variance the first half of them is the prediction.

mod config;
mod layers;
mod model;
mod positions;
mod read;
mod state_dict;

use super::{Architecture, Network};
use crate::error::Result;
use crate::nn::Weights;
use config::DitConfig;
use serde_json::Value;
use std::path::Path;

pub use model::Dit;

/// The paper's release.
pub(super) const PAPER: Architecture =
    Architecture { class_name: "DiT", build: build_paper, state_dict: Some(state_dict::STATE_DICT) };
/// diffusers.
pub(super) const DIFFUSERS: Architecture =
    Architecture { class_name: "DiTTransformer2DModel", build: build_diffusers, state_dict: None };
/// diffusers before it gave DiT a class of its own.
pub(super) const OLD_DIFFUSERS: Architecture =
    Architecture { class_name: "Transformer2DModel", build: build_diffusers, state_dict: None };

fn build_paper(config: &Value, weights: &Weights, path: &Path) -> Result<Box<dyn Network>> {
    Ok(Box::new(Dit::new(&DitConfig::paper(config, path)?, weights)?))
}

fn build_diffusers(config: &Value, weights: &Weights, path: &Path) -> Result<Box<dyn Network>> {
    Ok(Box::new(Dit::new(&DitConfig::diffusers(config, path)?, weights)?))
}

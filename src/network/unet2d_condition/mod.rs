//! diffusers' `UNet2DConditionModel` (reference: diffusers 0.42.1) in our own layers, under diffusers' parameter names.
//!
//! The network of Stable Diffusion 1 and 2 and their kin (Rombach et al., 2022, arXiv 2112.10752): a U-Net whose residual
//! blocks are followed by transformers that also attend to a context, such as the embeddings of a text. The context is a
//! constant, so that of ∂/∂t and J·v nothing has to be carried through it.

mod config;
mod model;
mod read;
mod refuse;

use super::{Architecture, Network};
use crate::error::Result;
use crate::nn::Weights;
use config::ConditionConfig;
use serde_json::Value;
use std::path::Path;

pub use model::UNet2dCondition;

const CLASS_NAME: &str = "UNet2DConditionModel";

pub(super) const ARCHITECTURE: Architecture = Architecture { class_name: CLASS_NAME, build, state_dict: None };

fn build(config: &Value, weights: &Weights, path: &Path) -> Result<Box<dyn Network>> {
    Ok(Box::new(UNet2dCondition::new(&ConditionConfig::from_json(config, path)?, weights)?))
}

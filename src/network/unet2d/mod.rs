//! diffusers' `UNet2DModel` (reference: diffusers 0.42.1) in our own layers, under diffusers' parameter names.
//!
//! `google/ddpm-cifar10-32` and its kin, with every tangent carried through the one forward pass.

mod config;
mod model;
mod read;

use super::{Architecture, Network};
use crate::error::Result;
use crate::nn::Weights;
use serde_json::Value;
use std::path::Path;

pub use super::unet_blocks::TimeScaleShift;
pub use config::{BlockType, ClassEmbedding, TimeEmbeddingType, UNet2dConfig};
pub use model::UNet2d;

pub(super) const ARCHITECTURE: Architecture = Architecture { class_name: "UNet2DModel", build, state_dict: None };

fn build(config: &Value, weights: &Weights, path: &Path) -> Result<Box<dyn Network>> {
    Ok(Box::new(UNet2d::new(&UNet2dConfig::from_json(config, path)?, weights)?))
}

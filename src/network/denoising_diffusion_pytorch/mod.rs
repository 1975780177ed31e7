//! The `Unet` of denoising-diffusion-pytorch (Phil Wang), in lipscope's own layers under its parameter names: that of its releases
//! from 1.8 on (references: 1.8.15, 1.10.17 and 2.3.4).
//!
//! Releases below 2 normalise groups of channels in their blocks, later ones pixels; from 1.10 on attention has memory,
//! keys and values that are parameters. Both show in the names. Releases below 1.8 standardise the weights of
//! convolutions, which does not, and are refused.
//!
//! All channels of the output are returned: with a learned variance the first half of them is the prediction. A network
//! that was trained with its own prediction as a further input gets zeros there, as the original does without one.

mod attention;
mod blocks;
mod config;
mod model;
mod read;
mod state_dict;

use super::Architecture;
use model::UnetLayers;

/// `_class_name` of its configurations.
const CLASS: &str = "Unet";

pub(super) const ARCHITECTURE: Architecture = Architecture::of::<UnetLayers>(CLASS, Some(state_dict::STATE_DICT));

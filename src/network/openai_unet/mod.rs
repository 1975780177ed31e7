//! The U-Net of improved-diffusion (Nichol & Dhariwal, 2021, arXiv 2102.09672) and of guided-diffusion, where it is
//! called ADM (Dhariwal & Nichol, 2021, arXiv 2105.05233), and that of latent-diffusion without a text (Rombach et al.,
//! 2022, arXiv 2112.10752), in lipscope's own layers under the parameter names of these releases.
//!
//! References: openai/improved-diffusion 1bc7bbb, openai/guided-diffusion 22e0df8, CompVis/latent-diffusion a506df5,
//! class `UNetModel` in each. Configurations are the arguments of its constructor, under their names there, with
//! `norm_num_groups` for the 32 groups that the releases fix in their code.
//!
//! All channels of the output are returned: with a learned variance the first half of them is the prediction.

mod blocks;
mod config;
mod consistency;
mod model;
mod read;
mod state_dict;

use super::Architecture;
use model::UNetModelLayers;

/// `_class_name` of its configurations.
const CLASS: &str = "UNetModel";

pub(super) const ARCHITECTURE: Architecture = Architecture::of::<UNetModelLayers>(CLASS, Some(state_dict::STATE_DICT));

//! The U-Net over sequences of actions of Diffusion Policy (Chi et al., 2023, arXiv 2303.04137), conditional on an observation
//! by FiLM, in lipscope's own layers under the parameter names of its releases.
//!
//! References: real-stanford/diffusion_policy 5ba07ac, class `ConditionalUnet1D`, whose arguments under their names there are
//! the configuration; huggingface/lerobot 7427f31, class `DiffusionConditionalUnet1d`, which calls the layers of a block
//! otherwise.
//!
//! x [B, L, A] are L actions of A numbers. The observation [B, G], `global_cond` there, is that of
//! [`Condition::pooled`](super::Condition). A local condition is not built here.

mod block;
mod config;
mod model;
mod state_dict;

use super::{Architecture, TrainedOn};

/// `_class_name` of its configurations.
const CLASS: &str = "ConditionalUnet1D";

/// The configurations of both releases train for ε with 100 steps of `squaredcos_cap_v2`; the first's files do not say.
pub(super) const ARCHITECTURE: Architecture = Architecture {
    trained_on: Some(TrainedOn { schedule: "cosine:timesteps=100", prediction: "epsilon", time_input: "step" }),
    ..Architecture::of::<model::Unet1dLayers>(CLASS, Some(state_dict::STATE_DICT))
};

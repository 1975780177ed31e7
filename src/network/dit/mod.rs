//! DiT, the diffusion transformer of Peebles & Xie (2023, arXiv 2212.09748) with adaLN-Zero, in lipscope's own layers.
//!
//! Two releases of one computation, under the parameter names of each: the paper's code (facebookresearch/DiT, class
//! `DiT`), whose state dicts come without a configuration, and diffusers' `DiTTransformer2DModel` (reference: diffusers
//! 0.42.1), called `Transformer2DModel` in older files. They differ in the frequencies of the time embedding.
//!
//! SiT (Ma et al., 2024, arXiv 2401.08740; code release willisma/SiT, class `SiT`) is the network of the paper's release
//! under the same names, trained on straight paths from noise at 0 to data at 1: it is told 1 − u and answers with x₀ − ε.
//!
//! c = MLP(features(t)) + table_class; h = patches(x) + places; blocks, modulated and gated by c; y = patches to
//! pixels. All channels of the output are returned: with a learned variance the first half of them is the prediction.

mod config;
mod layers;
mod positions;
mod read;
mod state_dict;

use super::{Architecture, TrainedOn};
use layers::DitLayers;

/// The paper's release.
pub(super) const PAPER: Architecture = Architecture::of::<DitLayers>("DiT", Some(state_dict::STATE_DICT));
/// The same network on straight paths; its state dicts look like those of the other.
pub(super) const SIT: Architecture = Architecture {
    trained_on: Some(TrainedOn { schedule: "flow", prediction: "reversed-flow", time_input: "1-unit" }),
    ..Architecture::of::<DitLayers>("SiT", None)
};
/// diffusers.
pub(super) const DIFFUSERS: Architecture = Architecture::of::<DitLayers>("DiTTransformer2DModel", None);
/// diffusers before it gave DiT a class of its own.
pub(super) const OLD_DIFFUSERS: Architecture = Architecture::of::<DitLayers>("Transformer2DModel", None);

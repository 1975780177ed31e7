//! The transformer of SEDD over symbols (Lou et al., 2024, arXiv 2310.16834; code release
//! louaaron/Score-Entropy-Discrete-Diffusion, class `SEDD`), and MDLM, which has the same blocks (Sahoo et al., 2024,
//! arXiv 2406.07524; kuleshov-group/mdlm, class `DIT`), in lipscope's own layers.
//!
//! c = SiLU(MLP(features(σ))); h = a row of a table for each symbol; blocks of attention, with rotary positions, and dense
//! layers, modulated and gated by c as in DiT, but behind normalisations with a scale of their own; y = linear(norm(h) (1 + s) + b).
//! What y [B, L, V] is taken for tells the two apart ([`output`]). x [B, L] holds the symbols 0 … V − 1 as floats, the mask last
//! where there is one; L is any length.

mod config;
mod layers;
mod output;
mod rotary;
mod settings;
mod state_dict;

use super::Architecture;
use layers::SeddLayers;
pub(crate) use settings::{KEYS, Noise, Settings, is_training};

/// Log-ratios.
pub(super) const SEDD: Architecture = Architecture::of::<SeddLayers>(config::SEDD, Some(state_dict::STATE_DICT));
/// log p(x₀ | x); its state dicts look like those of the other.
pub(super) const MDLM: Architecture = Architecture::of::<SeddLayers>(config::MDLM, None);

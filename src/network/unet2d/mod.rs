//! diffusers' `UNet2DModel` and `UNet2DConditionModel` (reference: diffusers 0.42.1) in lipscope's own layers, under
//! diffusers' parameter names.
//!
//! `UNet2DModel` is the network of `google/ddpm-cifar10-32` and its kin. `UNet2DConditionModel` is that of Stable
//! Diffusion 1 and 2 (Rombach et al., 2022, arXiv 2112.10752): its residual blocks are followed by transformers that also
//! attend to a context [B, L, D], such as the embeddings of a text. Stable Diffusion XL (Podell et al., 2023, arXiv
//! 2307.01952) also takes the pooled embeddings of the text and the sizes of the image. These are constants, so no tangent
//! is carried through them.

mod blocks;
mod conditional;
mod config;
mod model;
mod read;
mod refuse;
mod shared;
mod text_time;
mod transformer;
mod unconditional;

use super::{Architecture, NativeNetwork};

pub use config::UNet2dConfig;
pub use model::UNet2dLayers;

/// diffusers' `UNet2DModel` or `UNet2DConditionModel`.
pub type UNet2d = NativeNetwork<UNet2dLayers>;

const UNCONDITIONAL_CLASS: &str = "UNet2DModel";
const CONDITIONAL_CLASS: &str = "UNet2DConditionModel";

pub(super) const UNCONDITIONAL: Architecture = Architecture::of::<UNet2dLayers>(UNCONDITIONAL_CLASS, None);
pub(super) const CONDITIONAL: Architecture = Architecture::of::<UNet2dLayers>(CONDITIONAL_CLASS, None);

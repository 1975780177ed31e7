//! Multimodal diffusion transformers: `SD3Transformer2DModel` and `FluxTransformer2DModel` of diffusers (reference: diffusers
//! 0.42.1) in lipscope's own layers, under diffusers' parameter names.
//!
//! Stable Diffusion 3 and 3.5 (Esser et al., 2024, arXiv 2403.03206) and FLUX.1 (Black Forest Labs, 2024) carry tokens of the
//! image and of the text through layers of their own that meet in one attention. Time enters by modulation of both, so that
//! the text's tokens have a tangent in t as well.
//!
//! Both are trained on straight paths and predict the velocity ε − x₀; t is the number that the scheduler hands on, 1000 σ.

mod attention;
mod block;
mod embedding;
mod flux;
mod last;
mod rope;
mod sd3;
mod single_block;

use super::{Architecture, TrainedOn};

/// What both were trained on.
const STRAIGHT: Option<TrainedOn> = Some(TrainedOn { schedule: "flow", prediction: "flow", time_input: "sigma*1000" });

pub(super) const SD3: Architecture =
    Architecture { trained_on: STRAIGHT, ..Architecture::of::<sd3::Sd3Layers>(sd3::CLASS, None) };

pub(super) const FLUX: Architecture =
    Architecture { trained_on: STRAIGHT, ..Architecture::of::<flux::FluxLayers>(flux::CLASS, None) };

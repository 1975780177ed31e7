//! diffusers' `UNet2DModel` (reference: diffusers 0.42.1) in our own layers, under diffusers' parameter names.
//!
//! `google/ddpm-cifar10-32` and its kin, with every tangent carried through the one forward pass.

mod blocks;
mod config;
mod keys;
mod model;
mod read;
mod resnet;

pub use config::{BlockType, ClassEmbedding, TimeEmbeddingType, TimeScaleShift, UNet2dConfig};
pub use model::UNet2d;

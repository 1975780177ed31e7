//! The U-Net of EDM2 (Karras et al., 2024, arXiv 2312.02696, figure 21; NVlabs/edm2), of magnitude-preserving layers.
//!
//! F(u, c), where u = c_in x and c = c_noise are made outside: [`crate::preconditioning`]. A channel of ones is laid beside u.
//! emb = a(sum(W cos(c f + φ) √2, W' √n y)) for n classes, y the one-hot label. Weights are normalised where they are used,
//! which is once, when the network is built. What the original estimates of its uncertainty (`logvar`) is no part of F.
//!
//! Configurations are the arguments of the original constructor. Reference for tests: NVlabs/edm2.

mod block;
mod config;
mod model;

use super::Architecture;

/// `_class_name` of its configurations; the original calls it `UNet`.
const CLASS: &str = "EDM2UNet";

/// The U-Net of EDM2.
pub const ARCHITECTURE: Architecture = Architecture::of::<model::Edm2UNet>(CLASS, None);

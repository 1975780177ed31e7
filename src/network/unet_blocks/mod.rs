//! What diffusers' U-Nets are made of (reference: diffusers 0.42.1), under diffusers' parameter names.

mod blocks;
mod body;
mod config;
pub(super) mod read;
mod transformer;

pub use blocks::Side;
pub use body::Body;
pub use config::{AttentionPlan, BlockPlan, BodyPlan, MidPlan, ResnetPlan, TimeScaleShift, TransformerConfig};

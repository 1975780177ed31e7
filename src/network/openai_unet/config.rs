//! What a `UNetModel` is built to, as checked values; `read.rs` makes them from JSON.

use crate::error::{Error, Result};
use crate::nn::{Activation, QkvOrder, ResnetConfig};

/// Heads of every attention layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heads {
    /// So many in every layer, and so many on the way up.
    Count {
        /// On the way down and in the middle.
        down: i64,
        /// On the way up.
        up: i64,
    },
    /// So many channels in each.
    Channels(i64),
}

/// A checked configuration, which only [`UNetModelConfig::from_json`] makes. Field names are those of the releases.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct UNetModelConfig {
    /// The JSON that all of this was read from.
    pub json: serde_json::Value,
    /// Height and width of the training images, where the file says.
    pub image_size: Option<i64>,
    /// Channels of x.
    pub in_channels: i64,
    /// Width of the time features; a quarter of the time embedding's.
    pub model_channels: i64,
    /// Channels of the output.
    pub out_channels: i64,
    /// Residual blocks per resolution on the way down; one more on the way up.
    pub num_res_blocks: usize,
    /// Channels at each resolution, the finest first: `channel_mult` times `model_channels`.
    pub channels: Vec<i64>,
    /// Whether there is attention at each resolution.
    pub attention: Vec<bool>,
    /// Heads of every attention layer.
    pub heads: Heads,
    /// How the outputs of `qkv` are ordered.
    pub qkv_order: QkvOrder,
    /// Number of classes; `None` for an unconditional network.
    pub num_classes: Option<i64>,
    /// Whether time scales and shifts, and is not added.
    pub use_scale_shift_norm: bool,
    /// Whether residual blocks change the resolution.
    pub resblock_updown: bool,
    /// Whether convolutions do, where residual blocks do not; else means and copies of pixels.
    pub conv_resample: bool,
    /// Groups of every normalisation.
    pub norm_num_groups: i64,
}

impl UNetModelConfig {
    /// Width of the time embedding.
    pub fn time_embed_dim(&self) -> i64 {
        4 * self.model_channels
    }

    /// Height and width must be multiples of this: each resolution but the last is halved.
    pub fn size_factor(&self) -> i64 {
        1 << (self.channels.len() - 1)
    }

    /// Heads of attention over so many channels.
    pub(super) fn heads(&self, channels: i64, upward: bool) -> Result<i64> {
        match self.heads {
            Heads::Count { up, .. } if upward => Ok(up),
            Heads::Count { down, .. } => Ok(down),
            Heads::Channels(width) if channels % width == 0 => Ok(channels / width),
            Heads::Channels(width) => {
                let problem = format!("heads of {width} channels do not divide {channels} channels");
                Err(Error::mismatch(problem, "Correct num_head_channels."))
            }
        }
    }

    /// A residual block between so many channels.
    pub(super) fn resnet(&self, inputs: i64, outputs: i64) -> ResnetConfig {
        ResnetConfig {
            inputs,
            outputs,
            embedding: self.time_embed_dim(),
            norm_groups: self.norm_num_groups,
            norm_epsilon: 1e-5,
            activation: Activation::Silu,
            scale_shift: self.use_scale_shift_norm,
        }
    }
}

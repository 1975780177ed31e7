//! What a `UNetModel` is built to, as checked values; `read.rs` makes them from JSON.

use crate::error::{Error, Result};
use crate::nn::{QkvOrder, ResnetConfig};

/// Heads of every attention layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Heads {
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

/// A checked configuration. Field names are those of the releases.
#[derive(Debug, Clone)]
pub(super) struct UNetModelConfig {
    /// The JSON that all of this was read from.
    pub json: serde_json::Value,
    /// Height and width of the training images, where the file says.
    pub image_size: Option<i64>,
    pub in_channels: i64,
    /// Width of the time features; a quarter of the time embedding's.
    pub model_channels: i64,
    pub out_channels: i64,
    /// Residual blocks per resolution on the way down; one more on the way up.
    pub num_res_blocks: usize,
    /// Channels at each resolution, the finest first: `channel_mult` times `model_channels`.
    pub channels: Vec<i64>,
    /// Whether there is attention at each resolution.
    pub attention: Vec<bool>,
    pub heads: Heads,
    /// How the outputs of `qkv` are ordered.
    pub qkv_order: QkvOrder,
    /// Number of classes; `None` for an unconditional network.
    pub num_classes: Option<i64>,
    /// Every residual block; its normalisation is that of all layers.
    pub resnet: ResnetConfig,
    /// Whether residual blocks change the resolution.
    pub resblock_updown: bool,
    /// Whether convolutions do, where residual blocks do not; else means and copies of pixels.
    pub conv_resample: bool,
}

impl UNetModelConfig {
    /// Heads of attention over so many channels.
    pub fn heads(&self, channels: i64, upward: bool) -> Result<i64> {
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
}

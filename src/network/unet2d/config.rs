//! What a `UNet2DModel` is built to, as checked values; `read.rs` makes them from a config.json.

use crate::network::unet_blocks::{AttentionPlan, BlockPlan, BodyPlan, MidPlan, ResnetPlan, TimeScaleShift};
use crate::nn::{Activation, AttentionConfig};

/// Features of the timestep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimeEmbeddingType {
    /// Sines and cosines of t.
    Positional,
    /// Sines and cosines of log t at random frequencies; the output is divided by t.
    Fourier,
    /// A table with this many rows, one for each integer t.
    Learned(i64),
}

/// What a class label is turned into before it is added to the time embedding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClassEmbedding {
    /// There are no labels.
    None,
    /// A row of a table with this many rows.
    Table(i64),
    /// The label goes through features and dense layers like a timestep.
    Timestep,
    /// The label is an embedding already, [B, time_embed_dim].
    Identity,
}

/// One resolution of the network, on the way down or up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockType {
    /// Self-attention behind every residual block.
    pub attention: bool,
    /// Whether the size is changed by a residual block, not by a single convolution.
    pub resnet_resampling: bool,
}

/// A checked configuration, which only [`UNet2dConfig::from_json`] makes. Field names are diffusers' where the meaning is.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct UNet2dConfig {
    /// The config.json that all of this was read from.
    pub json: serde_json::Value,
    /// Height and width of the training images, where the file says.
    pub sample_size: Option<[i64; 2]>,
    /// Channels of x.
    pub in_channels: i64,
    /// Channels of the output.
    pub out_channels: i64,
    /// Whether the network first maps x to 2x − 1.
    pub center_input_sample: bool,
    /// Features of the timestep.
    pub time_embedding_type: TimeEmbeddingType,
    /// Width of the time embedding.
    pub time_embed_dim: i64,
    /// What is subtracted from half the number of sinusoids in the exponent of their frequencies.
    pub freq_shift: f64,
    /// Whether cosines come before sines.
    pub flip_sin_to_cos: bool,
    /// Blocks on the way down.
    pub down_blocks: Vec<BlockType>,
    /// Whether there is a block in the middle.
    pub mid_block: bool,
    /// Blocks on the way up.
    pub up_blocks: Vec<BlockType>,
    /// Channels of each block on the way down.
    pub block_out_channels: Vec<i64>,
    /// Residual blocks per block; one more on the way up.
    pub layers_per_block: i64,
    /// What the layers of the middle block divide their outputs by.
    pub mid_block_scale_factor: f64,
    /// 1, or 0 for zeros below and to the right only.
    pub downsample_padding: i64,
    /// Activation inside the residual blocks.
    pub act_fn: Activation,
    /// Channels per attention head; `None` for a single head.
    pub attention_head_dim: Option<i64>,
    /// Groups of every normalisation.
    pub norm_num_groups: i64,
    /// Groups of the normalisation in the middle block's attention; `None` for none there.
    pub mid_attention_groups: Option<i64>,
    /// ε of every normalisation.
    pub norm_eps: f64,
    /// How time enters a residual block.
    pub resnet_time_scale_shift: TimeScaleShift,
    /// Whether the middle block has attention.
    pub add_attention: bool,
    /// What a class label is turned into.
    pub class_embedding: ClassEmbedding,
}

impl UNet2dConfig {
    /// Number of features that the dense layers of the time embedding take.
    pub fn time_features(&self) -> i64 {
        match self.time_embedding_type {
            TimeEmbeddingType::Fourier => 2 * self.block_out_channels[0],
            TimeEmbeddingType::Positional | TimeEmbeddingType::Learned(_) => self.block_out_channels[0],
        }
    }

    /// Height and width must be multiples of this: each block but the last halves them.
    pub fn size_factor(&self) -> i64 {
        1 << (self.down_blocks.len() - 1)
    }

    /// What lies between the time embedding and the output.
    pub(super) fn body(&self) -> BodyPlan {
        let block = |(block, &channels): (&BlockType, &i64), layers| BlockPlan {
            layers,
            attention: block.attention.then(|| self.attention(channels, Some(self.norm_num_groups), 1.0)),
            resnet_resampling: block.resnet_resampling,
        };
        let channels = &self.block_out_channels;
        let down = self.down_blocks.iter().zip(channels).map(|pair| block(pair, self.layers_per_block));
        let up = self.up_blocks.iter().zip(channels.iter().rev()).map(|pair| block(pair, self.layers_per_block + 1));
        BodyPlan {
            in_channels: self.in_channels,
            out_channels: self.out_channels,
            channels: channels.clone(),
            resnet: ResnetPlan {
                time_embed_dim: self.time_embed_dim,
                norm_groups: self.norm_num_groups,
                norm_eps: self.norm_eps,
                act_fn: self.act_fn,
                time_scale_shift: self.resnet_time_scale_shift,
            },
            down: down.collect(),
            mid: self.mid_block.then(|| self.middle()),
            up: up.collect(),
            downsample_padding: self.downsample_padding,
            last_activation: Activation::Silu,
        }
    }

    fn middle(&self) -> MidPlan {
        let channels = self.block_out_channels[self.block_out_channels.len() - 1];
        let scale_factor = self.mid_block_scale_factor;
        let attention = self.add_attention.then(|| self.attention(channels, self.mid_attention_groups, scale_factor));
        MidPlan { attention, scale_factor }
    }

    fn attention(&self, channels: i64, norm_groups: Option<i64>, rescale: f64) -> AttentionPlan {
        let head_dim = self.attention_head_dim.unwrap_or(channels);
        AttentionPlan::Pixels(AttentionConfig { channels, head_dim, norm_groups, norm_epsilon: self.norm_eps, rescale })
    }
}

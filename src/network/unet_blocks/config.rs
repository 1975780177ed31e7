//! What the blocks of a U-Net are built to: checked values, whichever configuration they come from.

use crate::error::Result;
use crate::nn::{Activation, AttentionConfig, ResnetBlock, ResnetConfig, ResnetNames, Weights};

/// How time enters a residual block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimeScaleShift {
    /// h + emb.
    Default,
    /// h·(1 + scale) + shift, with scale and shift linear in emb.
    ScaleShift,
}

/// What every residual block is built to.
#[derive(Debug, Clone, Copy)]
pub struct ResnetPlan {
    /// Width of the time embedding.
    pub time_embed_dim: i64,
    /// Groups of every normalisation.
    pub norm_groups: i64,
    /// ε of every normalisation.
    pub norm_eps: f64,
    /// Activation.
    pub act_fn: Activation,
    /// How time enters.
    pub time_scale_shift: TimeScaleShift,
}

impl ResnetPlan {
    /// A block with so many channels of its input and output, from the parameters in `weights`.
    pub fn block(&self, weights: &Weights, [inputs, outputs]: [i64; 2]) -> Result<ResnetBlock> {
        let config = ResnetConfig {
            inputs,
            outputs,
            embedding: self.time_embed_dim,
            norm_groups: self.norm_groups,
            norm_epsilon: self.norm_eps,
            activation: self.act_fn,
            scale_shift: self.time_scale_shift == TimeScaleShift::ScaleShift,
        };
        ResnetBlock::new(weights, &ResnetNames::DIFFUSERS, &config)
    }
}

/// What a stack of transformer blocks over pixels is built to.
#[derive(Debug, Clone, Copy)]
pub struct TransformerConfig {
    /// Channels of the pixels.
    pub channels: i64,
    /// Attention heads.
    pub heads: i64,
    /// Transformer blocks.
    pub layers: i64,
    /// Width of the context that is attended to.
    pub context_width: i64,
    /// Groups of the normalisation in front.
    pub norm_groups: i64,
    /// Whether pixels become tokens by a linear layer, not by a 1×1 convolution.
    pub linear_projection: bool,
    /// Whether the first attention of a block, too, is over the context.
    pub only_cross_attention: bool,
}

/// What follows a residual block.
#[derive(Debug, Clone, Copy)]
pub enum AttentionPlan {
    /// Self-attention over pixels.
    Pixels(AttentionConfig),
    /// Transformer blocks, which also attend to a context.
    Transformer(TransformerConfig),
}

/// One resolution, on the way down or up.
#[derive(Debug, Clone, Copy)]
pub struct BlockPlan {
    /// Residual blocks.
    pub layers: i64,
    /// What follows each of them.
    pub attention: Option<AttentionPlan>,
    /// Whether the size is changed by a residual block, not by a single convolution.
    pub resnet_resampling: bool,
}

/// The block in the middle.
#[derive(Debug, Clone, Copy)]
pub struct MidPlan {
    /// What stands between its two residual blocks.
    pub attention: Option<AttentionPlan>,
    /// What its layers divide their outputs by.
    pub scale_factor: f64,
}

/// The network between the time embedding and the output.
#[derive(Debug, Clone)]
pub struct BodyPlan {
    /// Channels of x.
    pub in_channels: i64,
    /// Channels of the output.
    pub out_channels: i64,
    /// Channels of each block on the way down.
    pub channels: Vec<i64>,
    /// Every residual block.
    pub resnet: ResnetPlan,
    /// Blocks on the way down.
    pub down: Vec<BlockPlan>,
    /// The block in the middle.
    pub mid: Option<MidPlan>,
    /// Blocks on the way up.
    pub up: Vec<BlockPlan>,
    /// 1, or 0 for zeros below and to the right only.
    pub downsample_padding: i64,
    /// The last activation.
    pub last_activation: Activation,
}

//! The blocks of a U-Net: residual blocks at one resolution, each followed by attention where the block has it, then a
//! change of resolution.

use super::config::{AttentionPlan, BlockPlan, BodyPlan, MidPlan};
use super::transformer::Transformer2d;
use crate::dual::Dual;
use crate::error::Result;
use crate::network::skips::Skips;
use crate::nn::{
    Attention, Conv2d, Downsample, Resample, ResnetBlock, ResnetConfig, TimeSignal, Weights, upsample_nearest,
};

/// What enters every block besides its input.
#[derive(Debug, Clone, Copy)]
pub(super) struct Side<'a> {
    /// The time embedding [B, E].
    pub emb: &'a TimeSignal<'a>,
    /// The context [B, L, D] of a network that attends to one.
    pub context: Option<&'a Dual>,
}

/// What follows a residual block.
#[derive(Debug)]
enum Attend {
    Pixels(Attention),
    Transformer(Transformer2d),
}

impl Attend {
    fn new(weights: &Weights, plan: &AttentionPlan) -> Result<Self> {
        Ok(match plan {
            AttentionPlan::Pixels(config) => Attend::Pixels(Attention::new(weights, config)?),
            AttentionPlan::Transformer(config) => Attend::Transformer(Transformer2d::new(weights, config)?),
        })
    }

    fn optional(weights: &Weights, plan: Option<&AttentionPlan>) -> Result<Option<Self>> {
        plan.map(|plan| Attend::new(weights, plan)).transpose()
    }

    fn forward(&self, x: &Dual, context: Option<&Dual>) -> Result<Dual> {
        match self {
            Attend::Pixels(attention) => attention.forward(x),
            Attend::Transformer(transformer) => transformer.forward(x, context),
        }
    }
}

/// Residual block and attention, the layer that every block repeats.
#[derive(Debug)]
struct Layer {
    resnet: ResnetBlock,
    attention: Option<Attend>,
}

impl Layer {
    /// Takes `resnets.{index}` and, with attention, `attentions.{index}`.
    fn new(
        weights: &Weights,
        resnet: &ResnetConfig,
        index: i64,
        [inputs, outputs]: [i64; 2],
        attention: Option<&AttentionPlan>,
    ) -> Result<Self> {
        Ok(Layer {
            resnet: ResnetBlock::new(&weights.at("resnets").at(index), resnet, [inputs, outputs])?,
            attention: Attend::optional(&weights.at("attentions").at(index), attention)?,
        })
    }

    fn forward(&self, x: &Dual, side: Side) -> Result<Dual> {
        let h = self.resnet.forward(x, side.emb)?;
        match &self.attention {
            Some(attention) => attention.forward(&h, side.context),
            None => Ok(h),
        }
    }
}

/// Change of resolution at the end of a block.
#[derive(Debug)]
enum Resampler {
    Downsample(Downsample),
    Upsample(Conv2d),
    Resnet(Box<ResnetBlock>),
}

impl Resampler {
    fn down(weights: &Weights, plan: &BodyPlan, channels: i64, by_resnet: bool) -> Result<Self> {
        let weights = weights.at("downsamplers.0");
        if by_resnet {
            let resnet = ResnetBlock::new(&weights, &plan.resnet, [channels, channels])?;
            return Ok(Resampler::Resnet(Box::new(resnet.resampling(Resample::Halve))));
        }
        Ok(Resampler::Downsample(Downsample::conv(&weights, channels, plan.downsample_padding)?))
    }

    fn up(weights: &Weights, plan: &BodyPlan, channels: i64, by_resnet: bool) -> Result<Self> {
        let weights = weights.at("upsamplers.0");
        if by_resnet {
            let resnet = ResnetBlock::new(&weights, &plan.resnet, [channels, channels])?;
            return Ok(Resampler::Resnet(Box::new(resnet.resampling(Resample::Double))));
        }
        Ok(Resampler::Upsample(Conv2d::new(&weights.at("conv"), channels, channels, 3)?))
    }

    fn forward(&self, x: &Dual, emb: &TimeSignal) -> Result<Dual> {
        match self {
            Resampler::Downsample(downsample) => downsample.forward(x),
            Resampler::Upsample(conv) => conv.forward(&upsample_nearest(x)?),
            Resampler::Resnet(resnet) => resnet.forward(x, emb),
        }
    }
}

/// `DownBlock2D` and its kin with attention or `Resnet` resampling: [B, in, H, W] → [B, out, H/2, W/2].
#[derive(Debug)]
pub(super) struct DownBlock {
    layers: Vec<Layer>,
    downsampler: Option<Resampler>,
}

impl DownBlock {
    /// Block `index` on the way down. The last one keeps its resolution.
    pub fn new(weights: &Weights, plan: &BodyPlan, index: usize) -> Result<Self> {
        let weights = weights.at("down_blocks").at(index);
        let channels = &plan.channels;
        let BlockPlan { layers, attention, resnet_resampling } = &plan.down[index];
        let outputs = channels[index];
        let layer = |i| {
            let inputs = if i == 0 { channels[index.saturating_sub(1)] } else { outputs };
            Layer::new(&weights, &plan.resnet, i, [inputs, outputs], attention.as_ref())
        };
        let layers = (0..*layers).map(layer).collect::<Result<_>>()?;
        let downsampler = if index + 1 == channels.len() {
            None
        } else {
            Some(Resampler::down(&weights, plan, outputs, *resnet_resampling)?)
        };
        Ok(DownBlock { layers, downsampler })
    }

    /// Keeps the output of every layer, and that of the downsampler, in `skips`; the last is also the block's.
    pub fn forward(&self, x: Dual, side: Side, skips: &mut Skips) -> Result<Dual> {
        let mut h = x;
        for layer in &self.layers {
            h = layer.forward(&h, side)?;
            skips.keep(&h);
        }
        if let Some(downsampler) = &self.downsampler {
            h = downsampler.forward(&h, side.emb)?;
            skips.keep(&h);
        }
        Ok(h)
    }
}

/// `UNetMidBlock2D` or `UNetMidBlock2DCrossAttn`: residual block, attention, residual block; [B, C, H, W] → the same.
#[derive(Debug)]
pub(super) struct MidBlock {
    first: ResnetBlock,
    attention: Option<Attend>,
    last: ResnetBlock,
}

impl MidBlock {
    /// Takes `mid_block`, whose channels are those of the last block on the way down.
    pub fn new(weights: &Weights, mid: &MidPlan, resnet: &ResnetConfig, channels: i64) -> Result<Self> {
        let weights = weights.at("mid_block");
        let resnet = |index| {
            let block = ResnetBlock::new(&weights.at("resnets").at(index), resnet, [channels, channels])?;
            Ok(block.scaled(mid.scale_factor))
        };
        let attention = Attend::optional(&weights.at("attentions.0"), mid.attention.as_ref())?;
        Ok(MidBlock { first: resnet(0)?, attention, last: resnet(1)? })
    }

    /// x [B, C, H, W] → the same shape.
    pub fn forward(&self, x: &Dual, side: Side) -> Result<Dual> {
        let mut h = self.first.forward(x, side.emb)?;
        if let Some(attention) = &self.attention {
            h = attention.forward(&h, side.context)?;
        }
        self.last.forward(&h, side.emb)
    }
}

/// `UpBlock2D` and its kin with attention or `Resnet` resampling: [B, in, H, W] → [B, out, 2H, 2W].
#[derive(Debug)]
pub(super) struct UpBlock {
    layers: Vec<Layer>,
    upsampler: Option<Resampler>,
}

impl UpBlock {
    /// Block `index` on the way up. The last one keeps its resolution.
    pub fn new(weights: &Weights, plan: &BodyPlan, index: usize) -> Result<Self> {
        let weights = weights.at("up_blocks").at(index);
        let upward: Vec<i64> = plan.channels.iter().rev().copied().collect();
        let BlockPlan { layers, attention, resnet_resampling } = &plan.up[index];
        let outputs = upward[index];
        let from_below = upward[index.saturating_sub(1)];
        // The last of its skips comes from where this resolution began on the way down, with the channels of the
        // resolution above.
        let from_above = upward[(index + 1).min(upward.len() - 1)];
        let layer = |i| {
            let inputs = if i == 0 { from_below } else { outputs };
            let skip = if i == layers - 1 { from_above } else { outputs };
            Layer::new(&weights, &plan.resnet, i, [inputs + skip, outputs], attention.as_ref())
        };
        let layers = (0..*layers).map(layer).collect::<Result<_>>()?;
        let upsampler = if index + 1 == upward.len() {
            None
        } else {
            Some(Resampler::up(&weights, plan, outputs, *resnet_resampling)?)
        };
        Ok(UpBlock { layers, upsampler })
    }

    /// Every layer takes one of `skips`, the newest first, beside its input.
    pub fn forward(&self, x: Dual, side: Side, skips: &mut Skips) -> Result<Dual> {
        let mut h = x;
        for layer in &self.layers {
            h = layer.forward(&skips.beside(&h)?, side)?;
        }
        match &self.upsampler {
            Some(upsampler) => upsampler.forward(&h, side.emb),
            None => Ok(h),
        }
    }
}

//! The blocks of a `UNet2DModel`: residual blocks at one resolution, each followed by attention where the block has it,
//! then a change of resolution.

use super::config::{BlockType, TimeScaleShift, UNet2dConfig};
use crate::dual::Dual;
use crate::error::Result;
use crate::nn::{
    Attention, AttentionConfig, Conv2d, Downsample, Resample, ResnetBlock, ResnetConfig, ResnetNames, Weights,
    upsample_nearest,
};

/// Residual block and attention, the layer that every block repeats.
#[derive(Debug)]
struct Layer {
    resnet: ResnetBlock,
    attention: Option<Attention>,
}

impl Layer {
    /// Takes `resnets.{index}` and, with attention, `attentions.{index}`.
    fn new(
        weights: &Weights,
        config: &UNet2dConfig,
        index: i64,
        [inputs, outputs]: [i64; 2],
        attention: bool,
    ) -> Result<Self> {
        let resnet = resnet_block(&weights.at("resnets").at(index), config, [inputs, outputs])?;
        let attention = if attention {
            let groups = Some(config.norm_num_groups);
            let layer = attention_config(config, outputs, groups, 1.0);
            Some(Attention::new(&weights.at("attentions").at(index), &layer)?)
        } else {
            None
        };
        Ok(Layer { resnet, attention })
    }

    fn forward(&self, x: &Dual, emb: &Dual) -> Result<Dual> {
        let h = self.resnet.forward(x, emb)?;
        match &self.attention {
            Some(attention) => attention.forward(&h),
            None => Ok(h),
        }
    }
}

fn resnet_block(weights: &Weights, config: &UNet2dConfig, [inputs, outputs]: [i64; 2]) -> Result<ResnetBlock> {
    let config = ResnetConfig {
        inputs,
        outputs,
        embedding: config.time_embed_dim,
        norm_groups: config.norm_num_groups,
        norm_epsilon: config.norm_eps,
        activation: config.act_fn,
        scale_shift: config.resnet_time_scale_shift == TimeScaleShift::ScaleShift,
    };
    ResnetBlock::new(weights, &ResnetNames::DIFFUSERS, &config)
}

fn attention_config(config: &UNet2dConfig, channels: i64, norm_groups: Option<i64>, rescale: f64) -> AttentionConfig {
    let head_dim = config.attention_head_dim.unwrap_or(channels);
    AttentionConfig { channels, head_dim, norm_groups, norm_epsilon: config.norm_eps, rescale }
}

/// Change of resolution at the end of a block.
#[derive(Debug)]
enum Resampler {
    Downsample(Downsample),
    Upsample(Conv2d),
    Resnet(ResnetBlock),
}

impl Resampler {
    fn down(weights: &Weights, config: &UNet2dConfig, channels: i64, by_resnet: bool) -> Result<Self> {
        let weights = weights.at("downsamplers.0");
        if by_resnet {
            let resnet = resnet_block(&weights, config, [channels, channels])?;
            return Ok(Resampler::Resnet(resnet.resampling(Resample::Halve)));
        }
        Ok(Resampler::Downsample(Downsample::conv(&weights, channels, config.downsample_padding)?))
    }

    fn up(weights: &Weights, config: &UNet2dConfig, channels: i64, by_resnet: bool) -> Result<Self> {
        let weights = weights.at("upsamplers.0");
        if by_resnet {
            let resnet = resnet_block(&weights, config, [channels, channels])?;
            return Ok(Resampler::Resnet(resnet.resampling(Resample::Double)));
        }
        Ok(Resampler::Upsample(Conv2d::new(&weights.at("conv"), channels, channels, 3)?))
    }

    fn forward(&self, x: &Dual, emb: &Dual) -> Result<Dual> {
        match self {
            Resampler::Downsample(downsample) => downsample.forward(x),
            Resampler::Upsample(conv) => conv.forward(&upsample_nearest(x)?),
            Resampler::Resnet(resnet) => resnet.forward(x, emb),
        }
    }
}

/// `DownBlock2D`, `AttnDownBlock2D` or `ResnetDownsampleBlock2D`: [B, in, H, W] → [B, out, H/2, W/2].
#[derive(Debug)]
pub(super) struct DownBlock {
    layers: Vec<Layer>,
    downsampler: Option<Resampler>,
}

impl DownBlock {
    /// Block `index` on the way down. The last one keeps its resolution.
    pub fn new(weights: &Weights, config: &UNet2dConfig, index: usize) -> Result<Self> {
        let weights = weights.at("down_blocks").at(index);
        let channels = &config.block_out_channels;
        let BlockType { attention, resnet_resampling } = config.down_blocks[index];
        let outputs = channels[index];
        let layer = |i| {
            let inputs = if i == 0 { channels[index.saturating_sub(1)] } else { outputs };
            Layer::new(&weights, config, i, [inputs, outputs], attention)
        };
        let layers = (0..config.layers_per_block).map(layer).collect::<Result<_>>()?;
        let downsampler = if index + 1 == channels.len() {
            None
        } else {
            Some(Resampler::down(&weights, config, outputs, resnet_resampling)?)
        };
        Ok(DownBlock { layers, downsampler })
    }

    /// Pushes the output of every layer, and that of the downsampler, onto `skips`; the last is also the block's.
    pub fn forward(&self, x: Dual, emb: &Dual, skips: &mut Vec<Dual>) -> Result<Dual> {
        let mut h = x;
        for layer in &self.layers {
            h = layer.forward(&h, emb)?;
            skips.push(h.shallow_clone());
        }
        if let Some(downsampler) = &self.downsampler {
            h = downsampler.forward(&h, emb)?;
            skips.push(h.shallow_clone());
        }
        Ok(h)
    }
}

/// `UNetMidBlock2D`: residual block, attention, residual block; [B, C, H, W] → the same shape.
#[derive(Debug)]
pub(super) struct MidBlock {
    first: ResnetBlock,
    attention: Option<Attention>,
    last: ResnetBlock,
}

impl MidBlock {
    /// Takes `mid_block`, whose channels are those of the last block on the way down.
    pub fn new(weights: &Weights, config: &UNet2dConfig, channels: i64) -> Result<Self> {
        let weights = weights.at("mid_block");
        let scale = config.mid_block_scale_factor;
        let resnet =
            |index| Ok(resnet_block(&weights.at("resnets").at(index), config, [channels, channels])?.scaled(scale));
        let attention = if config.add_attention {
            let layer = attention_config(config, channels, config.mid_attention_groups, scale);
            Some(Attention::new(&weights.at("attentions.0"), &layer)?)
        } else {
            None
        };
        Ok(MidBlock { first: resnet(0)?, attention, last: resnet(1)? })
    }

    /// x [B, C, H, W] → the same shape.
    pub fn forward(&self, x: &Dual, emb: &Dual) -> Result<Dual> {
        let mut h = self.first.forward(x, emb)?;
        if let Some(attention) = &self.attention {
            h = attention.forward(&h)?;
        }
        self.last.forward(&h, emb)
    }
}

/// `UpBlock2D`, `AttnUpBlock2D` or `ResnetUpsampleBlock2D`: [B, in, H, W] → [B, out, 2H, 2W].
#[derive(Debug)]
pub(super) struct UpBlock {
    layers: Vec<Layer>,
    upsampler: Option<Resampler>,
}

impl UpBlock {
    /// Block `index` on the way up. The last one keeps its resolution.
    pub fn new(weights: &Weights, config: &UNet2dConfig, index: usize) -> Result<Self> {
        let weights = weights.at("up_blocks").at(index);
        let upward: Vec<i64> = config.block_out_channels.iter().rev().copied().collect();
        let BlockType { attention, resnet_resampling } = config.up_blocks[index];
        let outputs = upward[index];
        let from_below = upward[index.saturating_sub(1)];
        // The last of its skips comes from where this resolution began on the way down, with the channels of the
        // resolution above.
        let from_above = upward[(index + 1).min(upward.len() - 1)];
        let count = config.layers_per_block + 1;
        let layer = |i| {
            let inputs = if i == 0 { from_below } else { outputs };
            let skip = if i == count - 1 { from_above } else { outputs };
            Layer::new(&weights, config, i, [inputs + skip, outputs], attention)
        };
        let layers = (0..count).map(layer).collect::<Result<_>>()?;
        let upsampler = if index + 1 == upward.len() {
            None
        } else {
            Some(Resampler::up(&weights, config, outputs, resnet_resampling)?)
        };
        Ok(UpBlock { layers, upsampler })
    }

    /// Every layer takes one of `skips`, the newest first, beside its input.
    pub fn forward(&self, x: Dual, emb: &Dual, skips: &mut Vec<Dual>) -> Result<Dual> {
        let mut h = x;
        for layer in &self.layers {
            if let Some(skip) = skips.pop() {
                h = Dual::cat(&[&h, &skip], 1)?;
            }
            h = layer.forward(&h, emb)?;
        }
        match &self.upsampler {
            Some(upsampler) => upsampler.forward(&h, emb),
            None => Ok(h),
        }
    }
}

//! The lists of layers that a `UNetModel` is made of: `input_blocks`, `middle_block` and `output_blocks`.

use super::config::UNetModelConfig;
use crate::dual::Dual;
use crate::error::Result;
use crate::nn::{Attention, Conv2d, Downsample, Resample, ResnetBlock, TimeSignal, Weights, upsample_nearest};

/// One layer of a block.
#[derive(Debug)]
enum Layer {
    Conv(Conv2d),
    /// The only one that takes the time embedding.
    Resnet(ResnetBlock),
    Attention(Attention),
    Downsample(Downsample),
    /// Copies of pixels and, where it has one, a convolution.
    Upsample(Option<Conv2d>),
}

impl Layer {
    fn forward(&self, x: &Dual, emb: &TimeSignal) -> Result<Dual> {
        match self {
            Layer::Conv(conv) => conv.forward(x),
            Layer::Resnet(resnet) => resnet.forward(x, emb),
            Layer::Attention(attention) => attention.forward(x),
            Layer::Downsample(downsample) => downsample.forward(x),
            Layer::Upsample(None) => upsample_nearest(x),
            Layer::Upsample(Some(conv)) => conv.forward(&upsample_nearest(x)?),
        }
    }
}

/// Layers one after the other.
#[derive(Debug)]
pub(super) struct Block {
    layers: Vec<Layer>,
}

impl Block {
    /// x [B, in, H, W] and the time embedding [B, E] → [B, out, H', W'].
    pub fn forward(&self, x: Dual, emb: &TimeSignal) -> Result<Dual> {
        self.layers.iter().try_fold(x, |h, layer| layer.forward(&h, emb))
    }
}

/// Builds blocks of `config` from below one name, such as `input_blocks`.
struct Builder<'a> {
    config: &'a UNetModelConfig,
    weights: Weights,
    /// Whether this is the way up, where attention may have other heads.
    upward: bool,
}

impl Builder<'_> {
    /// Where layer `layer` of block `block` is.
    fn at(&self, block: usize, layer: usize) -> Weights {
        self.weights.at(block).at(layer)
    }

    fn resnet(&self, weights: &Weights, inputs: i64, outputs: i64) -> Result<ResnetBlock> {
        ResnetBlock::new(weights, &self.config.resnet, [inputs, outputs])
    }

    fn attention(&self, weights: &Weights, channels: i64) -> Result<Layer> {
        let heads = self.config.heads(channels, self.upward)?;
        let (order, groups) = (self.config.qkv_order, self.config.resnet.norm_groups);
        Ok(Layer::Attention(Attention::joint(weights, channels, heads, order, groups)?))
    }

    /// A residual block and, at resolutions that have it, attention.
    fn pair(&self, block: usize, level: usize, [inputs, outputs]: [i64; 2]) -> Result<Vec<Layer>> {
        let mut layers = vec![Layer::Resnet(self.resnet(&self.at(block, 0), inputs, outputs)?)];
        if self.config.attention[level] {
            layers.push(self.attention(&self.at(block, 1), outputs)?);
        }
        Ok(layers)
    }

    fn downsample(&self, weights: &Weights, channels: i64) -> Result<Layer> {
        if self.config.resblock_updown {
            return Ok(Layer::Resnet(self.resnet(weights, channels, channels)?.resampling(Resample::Halve)));
        }
        Ok(Layer::Downsample(if self.config.conv_resample {
            Downsample::Conv(Conv2d::new(&weights.at("op"), channels, channels, 3)?.strided(2, 1))
        } else {
            Downsample::AveragePool
        }))
    }

    fn upsample(&self, weights: &Weights, channels: i64) -> Result<Layer> {
        if self.config.resblock_updown {
            return Ok(Layer::Resnet(self.resnet(weights, channels, channels)?.resampling(Resample::Double)));
        }
        let conv = || Conv2d::new(&weights.at("conv"), channels, channels, 3);
        Ok(Layer::Upsample(if self.config.conv_resample { Some(conv()?) } else { None }))
    }
}

/// The way down: `input_blocks`, and the channels of what each puts out.
pub(super) fn input_blocks(config: &UNetModelConfig, weights: &Weights) -> Result<(Vec<Block>, Vec<i64>)> {
    let builder = Builder { config, weights: weights.at("input_blocks"), upward: false };
    let mut channels = config.channels[0];
    let first = Conv2d::new(&builder.at(0, 0), config.in_channels, channels, 3)?;
    let mut blocks = vec![Block { layers: vec![Layer::Conv(first)] }];
    let mut skips = vec![channels];
    for (level, &outputs) in config.channels.iter().enumerate() {
        for _ in 0..config.num_res_blocks {
            let layers = builder.pair(blocks.len(), level, [channels, outputs])?;
            channels = outputs;
            blocks.push(Block { layers });
            skips.push(channels);
        }
        if level + 1 < config.channels.len() {
            let layer = builder.downsample(&builder.at(blocks.len(), 0), channels)?;
            blocks.push(Block { layers: vec![layer] });
            skips.push(channels);
        }
    }
    Ok((blocks, skips))
}

/// `middle_block`: residual block, attention, residual block.
pub(super) fn middle_block(config: &UNetModelConfig, weights: &Weights, channels: i64) -> Result<Block> {
    let builder = Builder { config, weights: weights.at("middle_block"), upward: false };
    let at = |layer: usize| builder.weights.at(layer);
    let resnet = |layer| Ok(Layer::Resnet(builder.resnet(&at(layer), channels, channels)?));
    Ok(Block { layers: vec![resnet(0)?, builder.attention(&at(1), channels)?, resnet(2)?] })
}

/// The way up: `output_blocks`, each of which takes one of `skips` beside its input, the newest first.
pub(super) fn output_blocks(config: &UNetModelConfig, weights: &Weights, mut skips: Vec<i64>) -> Result<Vec<Block>> {
    let builder = Builder { config, weights: weights.at("output_blocks"), upward: true };
    let mut channels = skips.last().copied().unwrap_or(0);
    let mut blocks = Vec::new();
    for (level, &outputs) in config.channels.iter().enumerate().rev() {
        for i in 0..=config.num_res_blocks {
            let skip = skips.pop().unwrap_or(0);
            let mut layers = builder.pair(blocks.len(), level, [channels + skip, outputs])?;
            channels = outputs;
            if level > 0 && i == config.num_res_blocks {
                layers.push(builder.upsample(&builder.at(blocks.len(), layers.len()), channels)?);
            }
            blocks.push(Block { layers });
        }
    }
    Ok(blocks)
}

//! The residual block, and the stages of one resolution that it is part of.
//!
//! h = silu(norm(conv x) (1 + scale) + shift), (scale, shift) = W silu(emb);  y = silu(norm(conv h)) + shortcut(x)

use super::attention::PixelAttention;
use super::config::{BlockNorm, UnetConfig};
use crate::dual::Dual;
use crate::error::Result;
use crate::network::skips::Skips;
use crate::nn::{
    Activation, Conv2d, Downsample, GroupNorm, Linear, RmsNorm, TimeSignal, Weights, modulate, upsample_nearest,
};

/// Normalisation of one block.
#[derive(Debug)]
enum Norm {
    Rms(RmsNorm),
    Group(GroupNorm),
}

impl Norm {
    fn new(weights: &Weights, norm: BlockNorm, channels: i64) -> Result<Self> {
        Ok(match norm {
            BlockNorm::Rms => Norm::Rms(RmsNorm::new(weights, channels)?),
            BlockNorm::Group(groups) => Norm::Group(GroupNorm::new(weights, channels, groups, 1e-5)?),
        })
    }

    fn forward(&self, x: &Dual) -> Result<Dual> {
        match self {
            Norm::Rms(norm) => norm.forward(x),
            Norm::Group(norm) => norm.forward(x),
        }
    }
}

/// A residual block: x [B, in, H, W], emb [B, E] → [B, out, H, W].
#[derive(Debug)]
pub(super) struct ResnetBlock {
    site: String,
    time: Linear,
    blocks: [(Conv2d, Norm); 2],
    shortcut: Option<Conv2d>,
    outputs: i64,
}

impl ResnetBlock {
    /// Takes `mlp.1`, `block1`, `block2` and, where the channels change, `res_conv`.
    pub fn new(weights: &Weights, config: &UnetConfig, [inputs, outputs]: [i64; 2]) -> Result<Self> {
        let block = |name, inputs| -> Result<(Conv2d, Norm)> {
            let weights = weights.at(name);
            let conv = Conv2d::new(&weights.at("proj"), inputs, outputs, 3)?;
            Ok((conv, Norm::new(&weights.at("norm"), config.norm, outputs)?))
        };
        let shortcut =
            if inputs == outputs { None } else { Some(Conv2d::new(&weights.at("res_conv"), inputs, outputs, 1)?) };
        Ok(ResnetBlock {
            site: weights.name().into(),
            time: Linear::new(&weights.at("mlp.1"), config.time_dim(), 2 * outputs)?,
            blocks: [block("block1", inputs)?, block("block2", outputs)?],
            shortcut,
            outputs,
        })
    }

    pub fn forward(&self, x: &Dual, emb: &TimeSignal) -> Result<Dual> {
        let emb = self.time.forward(&Activation::Silu.forward(emb.at(&self.site))?)?;
        let part = |start| emb.linear(|emb| emb.f_narrow(1, start, self.outputs)?.f_unsqueeze(-1)?.f_unsqueeze(-1));
        let (scale, shift) = (part(0)?, part(self.outputs)?);
        let [(conv1, norm1), (conv2, norm2)] = &self.blocks;
        let h = modulate(&norm1.forward(&conv1.forward(x)?)?, &scale, &shift)?;
        let h = norm2.forward(&conv2.forward(&Activation::Silu.forward(&h)?)?)?;
        let h = Activation::Silu.forward(&h)?;
        match &self.shortcut {
            Some(conv) => h.add(&conv.forward(x)?),
            None => h.add(x),
        }
    }
}

/// What one resolution ends with.
#[derive(Debug)]
enum Resampler {
    /// At the last resolution of its way.
    Keep(Conv2d),
    Halve(Downsample),
    Double(Conv2d),
}

/// One resolution: two residual blocks, attention, and a change of resolution.
#[derive(Debug)]
pub(super) struct Stage {
    resnets: [ResnetBlock; 2],
    attention: PixelAttention,
    resampler: Resampler,
}

impl Stage {
    /// Stage `index` on the way down.
    pub fn down(weights: &Weights, config: &UnetConfig, index: usize) -> Result<Self> {
        let weights = weights.at("downs").at(index);
        let [inputs, outputs] = config.in_out()[index];
        let resampler = if index + 1 == config.dims.len() {
            Resampler::Keep(Conv2d::new(&weights.at(3), inputs, outputs, 3)?)
        } else {
            Resampler::Halve(Downsample::Unshuffle(Conv2d::new(&weights.at("3.1"), 4 * inputs, outputs, 1)?))
        };
        Stage::new(&weights, config, index, [inputs, inputs], resampler)
    }

    /// Stage `index` on the way up, which has the channels and the attention of its mirror image on the way down.
    pub fn up(weights: &Weights, config: &UnetConfig, index: usize) -> Result<Self> {
        let weights = weights.at("ups").at(index);
        let mirror = config.dims.len() - 1 - index;
        let [inputs, outputs] = config.in_out()[mirror];
        let resampler = if mirror == 0 {
            Resampler::Keep(Conv2d::new(&weights.at(3), outputs, inputs, 3)?)
        } else {
            Resampler::Double(Conv2d::new(&weights.at("3.1"), outputs, inputs, 3)?)
        };
        Stage::new(&weights, config, mirror, [outputs + inputs, outputs], resampler)
    }

    fn new(
        weights: &Weights,
        config: &UnetConfig,
        level: usize,
        channels: [i64; 2],
        resampler: Resampler,
    ) -> Result<Self> {
        let resnet = |index: i64| ResnetBlock::new(&weights.at(index), config, channels);
        let attention = PixelAttention::new(&weights.at(2), config.attention[level], channels[1], config.num_mem_kv)?;
        Ok(Stage { resnets: [resnet(0)?, resnet(1)?], attention, resampler })
    }

    /// On the way down: keeps what each residual block leads to in `skips`.
    pub fn descend(&self, x: Dual, emb: &TimeSignal, skips: &mut Skips) -> Result<Dual> {
        let h = self.resnets[0].forward(&x, emb)?;
        skips.keep(&h);
        let h = self.attention.forward(&self.resnets[1].forward(&h, emb)?)?;
        skips.keep(&h);
        self.resample(&h)
    }

    /// On the way up: every residual block takes one of `skips` beside its input, the newest first.
    pub fn ascend(&self, x: Dual, emb: &TimeSignal, skips: &mut Skips) -> Result<Dual> {
        let mut h = x;
        for resnet in &self.resnets {
            h = resnet.forward(&skips.beside(&h)?, emb)?;
        }
        self.resample(&self.attention.forward(&h)?)
    }

    fn resample(&self, x: &Dual) -> Result<Dual> {
        match &self.resampler {
            Resampler::Keep(conv) => conv.forward(x),
            Resampler::Halve(downsample) => downsample.forward(x),
            Resampler::Double(conv) => conv.forward(&upsample_nearest(x)?),
        }
    }
}

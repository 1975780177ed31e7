//! diffusers' `ResnetBlock2D`: x [B, in, H, W], emb [B, E] → [B, out, H, W], or half or twice that size.
//!
//! h = conv1(resample(a(norm1(x))))
//! default:      h = norm2(h + W a(emb))
//! scale_shift:  h = norm2(h) (1 + scale) + shift,  (scale, shift) = W a(emb)
//! y = (shortcut(resample(x)) + conv2(a(h))) / output_scale

use super::config::{ResnetConfig, TimeScaleShift};
use crate::dual::Dual;
use crate::error::Result;
use crate::nn::{Activation, Conv2d, Downsample, GroupNorm, Linear, Weights, modulate, upsample_nearest};

/// Change of size inside a residual block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Resample {
    Keep,
    Halve,
    Double,
}

/// A residual block.
#[derive(Debug)]
pub(super) struct ResnetBlock {
    norm1: GroupNorm,
    conv1: Conv2d,
    time_emb_proj: Linear,
    norm2: GroupNorm,
    conv2: Conv2d,
    conv_shortcut: Option<Conv2d>,
    activation: Activation,
    time_scale_shift: TimeScaleShift,
    resample: Resample,
    output_scale: f64,
}

impl ResnetBlock {
    /// Takes `norm1`, `conv1`, `time_emb_proj`, `norm2`, `conv2` and, where the channels change, `conv_shortcut`.
    pub fn new(weights: &Weights, config: &ResnetConfig, inputs: i64, outputs: i64) -> Result<Self> {
        let norm = |name, channels| GroupNorm::new(&weights.at(name), channels, config.norm_groups, config.norm_eps);
        let projected = match config.time_scale_shift {
            TimeScaleShift::Default => outputs,
            TimeScaleShift::ScaleShift => 2 * outputs,
        };
        let conv_shortcut =
            if inputs == outputs { None } else { Some(Conv2d::new(&weights.at("conv_shortcut"), inputs, outputs, 1)?) };
        Ok(ResnetBlock {
            norm1: norm("norm1", inputs)?,
            conv1: Conv2d::new(&weights.at("conv1"), inputs, outputs, 3)?,
            time_emb_proj: Linear::new(&weights.at("time_emb_proj"), config.time_embed_dim, projected)?,
            norm2: norm("norm2", outputs)?,
            conv2: Conv2d::new(&weights.at("conv2"), outputs, outputs, 3)?,
            conv_shortcut,
            activation: config.act_fn,
            time_scale_shift: config.time_scale_shift,
            resample: Resample::Keep,
            output_scale: 1.0,
        })
    }

    /// The same block with a change of size.
    pub fn resampling(self, resample: Resample) -> Self {
        ResnetBlock { resample, ..self }
    }

    /// The same block with its output divided by `output_scale`.
    pub fn scaled(self, output_scale: f64) -> Self {
        ResnetBlock { output_scale, ..self }
    }

    /// x [B, in, H, W] and the time embedding [B, E] → [B, out, H', W'].
    pub fn forward(&self, x: &Dual, emb: &Dual) -> Result<Dual> {
        let h = self.activation.forward(&self.norm1.forward(x)?)?;
        let (x, h) = (self.resize(x)?, self.resize(&h)?);
        let h = self.conv1.forward(&h)?;
        let emb = self.time_emb_proj.forward(&self.activation.forward(emb)?)?;
        let emb = emb.linear(|emb| emb.f_unsqueeze(-1)?.f_unsqueeze(-1))?;
        let h = match self.time_scale_shift {
            TimeScaleShift::Default => self.norm2.forward(&h.add(&emb)?)?,
            TimeScaleShift::ScaleShift => self.scale_and_shift(&self.norm2.forward(&h)?, &emb)?,
        };
        let h = self.conv2.forward(&self.activation.forward(&h)?)?;
        let shortcut = match &self.conv_shortcut {
            Some(conv) => conv.forward(&x)?,
            None => x,
        };
        let sum = shortcut.add(&h)?;
        if self.output_scale == 1.0 { Ok(sum) } else { sum.linear(|y| y.f_div_scalar(self.output_scale)) }
    }

    fn resize(&self, x: &Dual) -> Result<Dual> {
        match self.resample {
            Resample::Keep => Ok(x.shallow_clone()),
            Resample::Halve => Downsample::AveragePool.forward(x),
            Resample::Double => upsample_nearest(x),
        }
    }

    /// h (1 + scale) + shift, with emb [B, 2·out, 1, 1] holding scale and shift.
    fn scale_and_shift(&self, h: &Dual, emb: &Dual) -> Result<Dual> {
        let channels = emb.value.size().get(1).copied().unwrap_or(0) / 2;
        let part = |start| emb.linear(|emb| emb.f_narrow(1, start, channels));
        modulate(h, &part(0)?, &part(channels)?)
    }
}

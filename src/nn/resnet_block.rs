//! The residual block of DDPM's descendants: x [B, in, H, W], emb [B, E] → [B, out, H, W], or half or twice that size.
//!
//! h = conv1(resample(a(norm1(x))))
//! added:        h = norm2(h + W a(emb))
//! scale, shift: h = norm2(h) (1 + scale) + shift,  (scale, shift) = W a(emb)
//! y = (shortcut(resample(x)) + conv2(a(h))) / output_scale
//!
//! diffusers calls it `ResnetBlock2D`, OpenAI's releases `ResBlock`.

use super::{Activation, Conv2d, Downsample, GroupNorm, Linear, TimeSignal, Weights, modulate, upsample_nearest};
use crate::dual::Dual;
use crate::error::Result;

/// What the residual blocks of a network are built to, whatever their channels.
#[derive(Debug, Clone, Copy)]
pub struct ResnetConfig {
    /// What the implementation calls their layers.
    pub names: ResnetNames,
    /// Width E of the time embedding.
    pub embedding: i64,
    /// Groups of both normalisations.
    pub norm_groups: i64,
    /// ε of both normalisations.
    pub norm_epsilon: f64,
    /// Activation a.
    pub activation: Activation,
    /// Whether time scales and shifts the second normalisation, and is not added before it.
    pub scale_shift: bool,
}

/// What an implementation calls the layers of its residual block.
#[derive(Debug, Clone, Copy)]
pub struct ResnetNames {
    norm1: &'static str,
    conv1: &'static str,
    time: &'static str,
    norm2: &'static str,
    conv2: &'static str,
    shortcut: &'static str,
}

impl ResnetNames {
    /// diffusers' names.
    pub const DIFFUSERS: ResnetNames = ResnetNames {
        norm1: "norm1",
        conv1: "conv1",
        time: "time_emb_proj",
        norm2: "norm2",
        conv2: "conv2",
        shortcut: "conv_shortcut",
    };
    /// Names of improved-diffusion, guided-diffusion and latent-diffusion.
    pub const OPENAI: ResnetNames = ResnetNames {
        norm1: "in_layers.0",
        conv1: "in_layers.2",
        time: "emb_layers.1",
        norm2: "out_layers.0",
        conv2: "out_layers.3",
        shortcut: "skip_connection",
    };
}

/// Change of size inside a residual block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resample {
    /// None.
    Keep,
    /// Means of 2×2 pixels.
    Halve,
    /// Every pixel becomes 2×2.
    Double,
}

/// A residual block.
#[derive(Debug)]
pub struct ResnetBlock {
    /// Its name as a site of the time embedding.
    site: String,
    norm1: GroupNorm,
    conv1: Conv2d,
    time: Linear,
    norm2: GroupNorm,
    conv2: Conv2d,
    shortcut: Option<Conv2d>,
    activation: Activation,
    scale_shift: bool,
    resample: Resample,
    output_scale: f64,
}

impl ResnetBlock {
    /// From so many channels of x to so many of the output. Takes two normalisations, two convolutions, a linear layer
    /// for the time embedding and, where the channels change, a shortcut.
    pub fn new(weights: &Weights, config: &ResnetConfig, [inputs, outputs]: [i64; 2]) -> Result<Self> {
        let &ResnetConfig { names, embedding, norm_groups, norm_epsilon, activation, scale_shift } = config;
        let norm = |name, channels| GroupNorm::new(&weights.at(name), channels, norm_groups, norm_epsilon);
        let projected = if scale_shift { 2 * outputs } else { outputs };
        let shortcut =
            if inputs == outputs { None } else { Some(Conv2d::new(&weights.at(names.shortcut), inputs, outputs, 1)?) };
        Ok(ResnetBlock {
            site: weights.name().into(),
            norm1: norm(names.norm1, inputs)?,
            conv1: Conv2d::new(&weights.at(names.conv1), inputs, outputs, 3)?,
            time: Linear::new(&weights.at(names.time), embedding, projected)?,
            norm2: norm(names.norm2, outputs)?,
            conv2: Conv2d::new(&weights.at(names.conv2), outputs, outputs, 3)?,
            shortcut,
            activation,
            scale_shift,
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
    pub fn forward(&self, x: &Dual, emb: &TimeSignal) -> Result<Dual> {
        let h = self.activation.forward(&self.norm1.forward(x)?)?;
        let (x, h) = (self.resize(x)?, self.resize(&h)?);
        let h = self.conv1.forward(&h)?;
        let emb = self.time.forward(&self.activation.forward(emb.at(&self.site))?)?;
        let emb = emb.linear(|emb| emb.f_unsqueeze(-1)?.f_unsqueeze(-1))?;
        let h = if self.scale_shift {
            let outputs = h.value.size().get(1).copied().unwrap_or(0);
            let half = |start| emb.linear(|emb| emb.f_narrow(1, start, outputs));
            modulate(&self.norm2.forward(&h)?, &half(0)?, &half(outputs)?)?
        } else {
            self.norm2.forward(&h.add(&emb)?)?
        };
        let h = self.conv2.forward(&self.activation.forward(&h)?)?;
        let shortcut = match &self.shortcut {
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
}

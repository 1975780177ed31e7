//! The residual block: x [B, in, L] and c [B, E] → [B, out, L].
//!
//! h = block₁(x);  h = h + W a(c), or scale · h + shift with (scale, shift) = W a(c);  y = block₂(h) + shortcut(x)
//!
//! with block(x) = a(norm(conv(x))) and a = mish. (FiLM: Perez et al., 2018, arXiv 1709.07871)

use super::config::Unet1dConfig;
use crate::dual::Dual;
use crate::error::Result;
use crate::nn::{Activation, Conv1d, GroupNorm, Linear, TimeSignal, Weights};

/// ε of all normalisations.
const EPSILON: f64 = 1e-5;

/// A convolution, normalised and activated.
#[derive(Debug)]
pub(super) struct ConvBlock {
    conv: Conv1d,
    norm: GroupNorm,
}

impl ConvBlock {
    /// Takes `block.0` and `block.1`.
    pub fn new(weights: &Weights, [inputs, outputs]: [i64; 2], kernel: i64, groups: i64) -> Result<Self> {
        Ok(ConvBlock {
            conv: Conv1d::new(&weights.at("block.0"), inputs, outputs, kernel)?,
            norm: GroupNorm::new(&weights.at("block.1"), outputs, groups, EPSILON)?,
        })
    }

    /// x [B, in, L] → [B, out, L].
    pub fn forward(&self, x: &Dual) -> Result<Dual> {
        Activation::Mish.forward(&self.norm.forward(&self.conv.forward(x)?)?)
    }
}

/// A residual block.
#[derive(Debug)]
pub(super) struct ResidualBlock {
    /// Its name as a site of the time embedding.
    site: String,
    blocks: [ConvBlock; 2],
    condition: Linear,
    scales: bool,
    shortcut: Option<Conv1d>,
}

impl ResidualBlock {
    /// From so many channels to so many.
    pub fn new(weights: &Weights, config: &Unet1dConfig, [inputs, outputs]: [i64; 2]) -> Result<Self> {
        let [first, second] = config.names.blocks;
        let block = |name, channels| ConvBlock::new(&weights.at(name), channels, config.kernel_size, config.n_groups);
        let width = config.diffusion_step_embed_dim + config.global_cond_dim.unwrap_or(0);
        let projected = if config.cond_predict_scale { 2 * outputs } else { outputs };
        let shortcut = match inputs == outputs {
            true => None,
            false => Some(Conv1d::new(&weights.at("residual_conv"), inputs, outputs, 1)?),
        };
        Ok(ResidualBlock {
            site: weights.name().into(),
            blocks: [block(first, [inputs, outputs])?, block(second, [outputs; 2])?],
            condition: Linear::new(&weights.at("cond_encoder.1"), width, projected)?,
            scales: config.cond_predict_scale,
            shortcut,
        })
    }

    /// x [B, in, L] and the embedding of t and the observation [B, E] → [B, out, L].
    pub fn forward(&self, x: &Dual, embedding: &TimeSignal) -> Result<Dual> {
        let h = self.blocks[0].forward(x)?;
        let projected = self.condition.forward(&Activation::Mish.forward(embedding.at(&self.site))?)?;
        let projected = projected.linear(|c| c.f_unsqueeze(-1))?;
        let h = if self.scales {
            let outputs = h.value.size().get(1).copied().unwrap_or(0);
            let half = |start| projected.linear(|c| c.f_narrow(1, start, outputs));
            h.mul(&half(0)?)?.add(&half(outputs)?)?
        } else {
            h.add(&projected)?
        };
        let h = self.blocks[1].forward(&h)?;
        match &self.shortcut {
            Some(conv) => h.add(&conv.forward(x)?),
            None => h.add(x),
        }
    }
}

//! Halving and doubling of height and width. All of it is linear in x, so the tangent takes the same path.

use super::{Conv2d, Weights};
use crate::dual::Dual;
use crate::error::{Error, Result};

/// [B, C, H, W] → [B, C, H/2, W/2], for even H and W.
#[derive(Debug)]
pub enum Downsample {
    /// A 3×3 convolution of stride 2 with one row and column of zeros on every side.
    Conv(Conv2d),
    /// The same with zeros only below and to the right, as in the original TensorFlow DDPM.
    ConvPaddedAfter(Conv2d),
    /// The mean of 2×2 pixels.
    AveragePool,
    /// 2×2 pixels become channels, [B, 4C, H/2, W/2], which a 1×1 convolution mixes.
    Unshuffle(Conv2d),
}

impl Downsample {
    /// Takes `conv.weight` [C, C, 3, 3] and `conv.bias`. `padding` 0 means zeros below and to the right only.
    pub fn conv(weights: &Weights, channels: i64, padding: i64) -> Result<Self> {
        let conv = Conv2d::new(&weights.at("conv"), channels, channels, 3)?;
        match padding {
            0 => Ok(Downsample::ConvPaddedAfter(conv.strided(2, 0))),
            1 => Ok(Downsample::Conv(conv.strided(2, 1))),
            other => Err(Error::unsupported(
                format!("downsample_padding = {other}"),
                "it is 0 or 1, since others do not halve the size",
                "Check the configuration.",
            )),
        }
    }

    /// x [B, C, H, W] → [B, C, H/2, W/2].
    pub fn forward(&self, x: &Dual) -> Result<Dual> {
        match self {
            Downsample::Conv(conv) => conv.forward(x),
            Downsample::ConvPaddedAfter(conv) => conv.forward(&x.linear(|x| x.f_constant_pad_nd([0, 1, 0, 1]))?),
            Downsample::Unshuffle(conv) => conv.forward(&x.linear(|x| x.f_pixel_unshuffle(2))?),
            Downsample::AveragePool => x.linear(|x| x.f_avg_pool2d([2, 2], [2, 2], [0, 0], false, true, None)),
        }
    }
}

/// Every pixel becomes 2×2: [B, C, H, W] → [B, C, 2H, 2W].
pub fn upsample_nearest(x: &Dual) -> Result<Dual> {
    // By factors, not by sizes, so that a trace serves other sizes too.
    x.linear(|x| x.f_upsample_nearest2d_vec(None::<&[i64]>, [2.0, 2.0]))
}

//! `UNetBlock`: x [B, in, H, W], emb [B, E] → [B, out, H, W], or half or twice that size.
//!
//! h = conv0(resample(a(norm0(x))))
//! SongUNet:     h = norm1(h + W emb); DhariwalUNet: h = norm1(h) (1 + scale) + shift,  (scale, shift) = W emb
//! y = (skip(resample(x)) + conv1(a(h)))·s,  and with attention y ← (y + attention(norm2(y)))·s
//!
//! with s = √½ in SongUNet and 1 in DhariwalUNet. The skip path has a 1×1 convolution where the channels change, in
//! SongUNet also where the size does.

use super::config::{EdmUNetConfig, Naming};
use super::names::Names;
use crate::dual::Dual;
use crate::error::Result;
use crate::nn::{Activation, Conv2d, Fir, GroupNorm, Linear, TimeSignal, TokenAttention, Weights, modulate, to_tokens};
/// Change of size inside a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Resize {
    Keep,
    Halve,
    Double,
}

/// Normalisation over the original's number of groups: 32, or as many as have four channels each.
pub(super) fn group_norm(weights: &Weights, channels: i64, config: &EdmUNetConfig) -> Result<GroupNorm> {
    GroupNorm::new(weights, channels, 32.min(channels / 4), config.epsilon())
}

/// Normalisation and attention; `None` where the channels do not make one head.
fn attention(weights: &Weights, config: &EdmUNetConfig, channels: i64) -> Result<Option<(GroupNorm, TokenAttention)>> {
    let heads = config.heads(channels);
    if heads == 0 {
        return Ok(None);
    }
    Ok(Some(match config.naming {
        Naming::Placed => {
            let norm = group_norm(&weights.at("norm2"), channels, config)?;
            (norm, TokenAttention::pixelwise(weights, channels, heads)?)
        }
        Naming::Listed => {
            let norm = group_norm(&weights.at("GroupNorm_0"), channels, config)?;
            (norm, TokenAttention::nin(weights, channels)?)
        }
    }))
}

#[derive(Debug)]
pub(super) struct UNetBlock {
    site: String,
    norm0: GroupNorm,
    conv0: Conv2d,
    affine: Linear,
    norm1: GroupNorm,
    conv1: Conv2d,
    skip: Option<Conv2d>,
    resize: Resize,
    /// Of the main path and of the skip path; a block that keeps the size has none.
    filters: Option<[Fir; 2]>,
    attention: Option<(GroupNorm, TokenAttention)>,
    /// Whether the embedding scales and shifts the second normalisation, and is not added before it.
    adaptive_scale: bool,
    /// s.
    skip_scale: f64,
}

impl UNetBlock {
    /// Takes the [`Names::parts`] of a layer, and its attention where it has some.
    pub fn new(
        weights: &Weights,
        (config, names): (&EdmUNetConfig, &Names),
        [inputs, outputs]: [i64; 2],
        resize: Resize,
        attention: bool,
    ) -> Result<Self> {
        let song = config.is_song();
        let [norm0, conv0, affine, norm1, conv1, skip] = names.parts().map(|part| weights.at(part));
        let norm = |weights: &Weights, channels| group_norm(weights, channels, config);
        let is_resized = resize != Resize::Keep;
        let has_skip = inputs != outputs || (song && is_resized);
        Ok(UNetBlock {
            site: weights.name().into(),
            norm0: norm(&norm0, inputs)?,
            conv0: Conv2d::new(&conv0, inputs, outputs, 3)?,
            affine: Linear::new(&affine, config.embedding, if song { outputs } else { 2 * outputs })?,
            norm1: norm(&norm1, outputs)?,
            conv1: Conv2d::new(&conv1, outputs, outputs, 3)?,
            skip: has_skip.then(|| Conv2d::new(&skip, inputs, outputs, 1)).transpose()?,
            filters: if is_resized { Some([names.filter(&conv0)?, names.filter(&skip)?]) } else { None },
            resize,
            attention: if attention { self::attention(&names.attention(weights), config, outputs)? } else { None },
            adaptive_scale: !song,
            skip_scale: config.skip_scale(),
        })
    }

    /// x [B, in, H, W] and the activated embedding [B, E] → [B, out, H', W'].
    pub fn forward(&self, x: &Dual, emb: &TimeSignal) -> Result<Dual> {
        let h = self.resized(&Activation::Silu.forward(&self.norm0.forward(x)?)?, 0)?;
        let h = self.embedded(&self.conv0.forward(&h)?, emb.at(&self.site))?;
        let h = self.conv1.forward(&Activation::Silu.forward(&h)?)?;
        let x = self.resized(x, 1)?;
        let skip = match &self.skip {
            Some(conv) => conv.forward(&x)?,
            None => x,
        };
        let y = self.scaled(h.add(&skip)?)?;
        let Some((norm, attention)) = &self.attention else { return Ok(y) };
        let out = attention.forward(&to_tokens(&norm.forward(&y)?)?, None)?;
        let out = out.linear(|out| out.f_transpose(1, 2)?.f_reshape_as(&y.value))?;
        self.scaled(out.add(&y)?)
    }

    /// The second normalisation, with the embedding.
    fn embedded(&self, h: &Dual, emb: &Dual) -> Result<Dual> {
        let emb = self.affine.forward(emb)?.linear(|emb| emb.f_unsqueeze(-1)?.f_unsqueeze(-1))?;
        if !self.adaptive_scale {
            return self.norm1.forward(&h.add(&emb)?);
        }
        let outputs = h.value.size().get(1).copied().unwrap_or(0);
        let half = |start| emb.linear(|emb| emb.f_narrow(1, start, outputs));
        modulate(&self.norm1.forward(h)?, &half(0)?, &half(outputs)?)
    }

    fn resized(&self, x: &Dual, path: usize) -> Result<Dual> {
        let fir = self.filters.as_ref().and_then(|filters| filters.get(path));
        match (self.resize, fir) {
            (Resize::Halve, Some(fir)) => fir.halve(x),
            (Resize::Double, Some(fir)) => fir.double(x),
            _ => Ok(x.shallow_clone()),
        }
    }

    fn scaled(&self, x: Dual) -> Result<Dual> {
        if self.skip_scale == 1.0 { Ok(x) } else { x.linear(|x| x.f_mul_scalar(self.skip_scale)) }
    }
}

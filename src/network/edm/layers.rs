//! The layers of encoder and decoder in their order, under the original's names, such as `enc.16x16_block0`.

use super::block::{Resize, UNetBlock, group_norm};
use super::config::{EdmUNetConfig, Encoder, Family};
use super::names::Names;
use crate::dual::Dual;
use crate::error::Result;
use crate::network::skips::Skips;
use crate::nn::{Activation, Conv2d, Fir, GroupNorm, TimeSignal, Weights};

/// A layer of the encoder.
#[derive(Debug)]
enum Down {
    Conv(Conv2d),
    Block(Box<UNetBlock>),
    /// The image path is halved, and 1×1 convolved beside h.
    Skip(Fir, Conv2d),
    /// The image path is convolved and halved; it goes on as the sum of both times a factor.
    Residual(Conv2d, Fir, f64),
}

/// A layer of the decoder.
#[derive(Debug)]
enum Up {
    Block(Box<UNetBlock>),
    /// One that takes an output of the encoder beside h.
    BesideSkip(Box<UNetBlock>),
    /// The sum of outputs is doubled.
    Double(Fir),
    /// An output is added to it.
    Output(GroupNorm, Conv2d),
}

#[derive(Debug)]
pub(super) struct Encode {
    layers: Vec<Down>,
    /// Channels of what is kept.
    pub kept: Vec<i64>,
}

impl Encode {
    /// Takes the layers of the encoder, `enc` in EDM's files.
    pub fn new(names: &Names, config: &EdmUNetConfig) -> Result<Self> {
        let encoder = if let Family::Song { encoder, .. } = config.family { encoder } else { Encoder::Standard };
        let (mut layers, mut kept) = (Vec::new(), Vec::new());
        let (mut channels, mut aux) = (config.first(), config.in_channels);
        for (level, &outputs) in config.channels.iter().enumerate() {
            let at = |name: &str| names.layer("enc", level, name);
            if level == 0 {
                layers.push(Down::Conv(Conv2d::new(&at("conv"), aux, channels, 3)?));
            } else {
                let block = UNetBlock::new(&at("down"), (config, names), [channels; 2], Resize::Halve, false)?;
                layers.push(Down::Block(Box::new(block)));
            }
            kept.push(channels);
            match encoder {
                Encoder::Skip if level > 0 => {
                    let fir = names.filter(&names.unlisted("enc", level, "aux_down"))?;
                    let conv = names.within(at("aux_skip"), "Conv_0");
                    layers.push(Down::Skip(fir, Conv2d::new(&conv, aux, channels, 1)?));
                }
                Encoder::Residual if level > 0 => {
                    let layer = names.within(at("aux_residual"), "Conv2d_0");
                    let conv = Conv2d::new(&layer, aux, channels, 3)?;
                    layers.push(Down::Residual(conv, names.filter(&layer)?, config.skip_scale()));
                    aux = channels;
                }
                _ => {}
            }
            for i in 0..config.num_blocks {
                let attention = config.attention[level];
                let name = at(&format!("block{i}"));
                let block = UNetBlock::new(&name, (config, names), [channels, outputs], Resize::Keep, attention)?;
                layers.push(Down::Block(Box::new(block)));
                channels = outputs;
                kept.push(channels);
            }
        }
        Ok(Encode { layers, kept })
    }

    /// The image [B, C, H, W] and the embedding → the deepest output; all outputs are kept in `skips`.
    pub fn forward(&self, image: &Dual, emb: &TimeSignal, skips: &mut Skips) -> Result<Dual> {
        let (mut h, mut aux) = (image.shallow_clone(), image.shallow_clone());
        for layer in &self.layers {
            h = match layer {
                Down::Conv(conv) => conv.forward(&h)?,
                Down::Block(block) => block.forward(&h, emb)?,
                Down::Skip(fir, conv) => {
                    aux = fir.halve(&aux)?;
                    skips.replace(h.add(&conv.forward(&aux)?)?)
                }
                Down::Residual(conv, fir, factor) => {
                    let sum = h.add(&fir.halve_after(conv, &aux)?)?;
                    aux = sum.linear(|sum| sum.f_mul_scalar(*factor))?;
                    skips.replace(aux.shallow_clone())
                }
            };
            if matches!(layer, Down::Conv(_) | Down::Block(_)) {
                skips.keep(&h);
            }
        }
        Ok(h)
    }
}

#[derive(Debug)]
pub(super) struct Decode {
    layers: Vec<Up>,
}

impl Decode {
    /// Takes the layers of the decoder, `dec` in EDM's files; `kept` are the encoder's channels.
    pub fn new(names: &Names, config: &EdmUNetConfig, mut kept: Vec<i64>) -> Result<Self> {
        let deepest = config.channels.len() - 1;
        let mut layers = Vec::new();
        let mut channels = kept.last().copied().unwrap_or(0);
        for (level, &outputs) in config.channels.iter().enumerate().rev() {
            let at = |name: &str| names.layer("dec", level, name);
            let same = |name: &str, resize, attention| {
                UNetBlock::new(&at(name), (config, names), [channels; 2], resize, attention)
                    .map(|block| Up::Block(Box::new(block)))
            };
            if level == deepest {
                layers.extend([same("in0", Resize::Keep, true)?, same("in1", Resize::Keep, false)?]);
            } else {
                layers.push(same("up", Resize::Double, false)?);
            }
            for i in 0..=config.num_blocks {
                // DDPM++ and NCSN++ attend in the last block of a resolution only.
                let last = i == config.num_blocks || !config.is_song();
                let inputs = channels + kept.pop().unwrap_or(0);
                let name = at(&format!("block{i}"));
                let attention = config.attention[level] && last;
                let block = UNetBlock::new(&name, (config, names), [inputs, outputs], Resize::Keep, attention)?;
                layers.push(Up::BesideSkip(Box::new(block)));
                channels = outputs;
            }
            let Family::Song { skip_decoder, .. } = config.family else { continue };
            if skip_decoder && level < deepest {
                layers.push(Up::Double(names.filter(&names.unlisted("dec", level, "aux_up"))?));
            }
            if skip_decoder || level == 0 {
                layers.push(output([at("aux_norm"), at("aux_conv")], channels, config)?);
            }
        }
        if !config.is_song() {
            layers.push(output([names.outer("out_norm"), names.outer("out_conv")], channels, config)?);
        }
        Ok(Decode { layers })
    }

    /// The deepest output of the encoder → [B, out, H, W].
    pub fn forward(&self, mut h: Dual, emb: &TimeSignal, skips: &mut Skips) -> Result<Dual> {
        let mut sum: Option<Dual> = None;
        for layer in &self.layers {
            match layer {
                Up::Block(block) => h = block.forward(&h, emb)?,
                Up::BesideSkip(block) => h = block.forward(&skips.beside(&h)?, emb)?,
                Up::Double(fir) => sum = sum.map(|sum| fir.double(&sum)).transpose()?,
                Up::Output(norm, conv) => {
                    let output = conv.forward(&Activation::Silu.forward(&norm.forward(&h)?)?)?;
                    sum = Some(match sum {
                        Some(sum) => output.add(&sum)?,
                        None => output,
                    });
                }
            }
        }
        Ok(sum.unwrap_or(h))
    }
}

fn output([norm, conv]: [Weights; 2], channels: i64, config: &EdmUNetConfig) -> Result<Up> {
    let norm = group_norm(&norm, channels, config)?;
    Ok(Up::Output(norm, Conv2d::new(&conv, channels, config.out_channels, 3)?))
}

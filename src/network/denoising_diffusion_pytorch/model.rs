//! The network: x [B, C, H, W] and t [B] → [B, out, H, W].
//!
//! emb = MLP(features(t)); r = conv(x); down, keeping two outputs of every resolution; middle; up, taking them back;
//! y = conv(resnet([h, r])).

use super::attention::PixelAttention;
use super::blocks::{ResnetBlock, Stage};
use super::config::{TimeFeatures, UnetConfig};
use crate::dual::Dual;
use crate::error::{Doing, Result};
use crate::network::condition::{Embedder, Labels};
use crate::network::native::{Facts, Inputs, Layers};
use crate::network::skips::Skips;
use crate::network::{Additions, InputShape, UsualTime};
use crate::nn::{Activation, Conv2d, TimeProjection, TimestepEmbedding, Weights};
use serde_json::Value;
use std::path::Path;

/// The layers in the order of the forward pass.
#[derive(Debug)]
pub(super) struct UnetLayers {
    /// Whether an earlier prediction goes in beside x.
    self_condition: bool,
    embedder: Embedder,
    init_conv: Conv2d,
    downs: Vec<Stage>,
    mid_block1: ResnetBlock,
    mid_attn: PixelAttention,
    mid_block2: ResnetBlock,
    ups: Vec<Stage>,
    final_res_block: ResnetBlock,
    final_conv: Conv2d,
}

impl Layers for UnetLayers {
    type Config = UnetConfig;

    fn read(json: &Value, path: &Path) -> Result<UnetConfig> {
        UnetConfig::from_json(json, path)
    }

    /// `GaussianDiffusion` refuses random and learned frequencies; `ElucidatedDiffusion` and the classes in continuous time
    /// ask for them.
    fn usual_time(config: &UnetConfig) -> UsualTime {
        match config.time {
            TimeFeatures::Sinusoids { .. } => UsualTime::Steps,
            TimeFeatures::Fourier(_) => UsualTime::NoiseLevel,
        }
    }

    fn facts(config: &UnetConfig) -> Facts {
        Facts {
            architecture: super::CLASS,
            config: config.json.clone(),
            input: InputShape::images(config.channels, config.image_size.map(|size| [size; 2])),
            // Each resolution but the last is halved.
            size_factor: 1 << (config.dims.len() - 1),
            classes: None,
            null_label: None,
            context_width: None,
            additions: Additions::default(),
            first_weight: "init_conv.weight",
            frequencies: Some("time_mlp.0."),
        }
    }

    fn time_projection(config: &UnetConfig, weights: &Weights) -> Result<TimeProjection> {
        match config.time {
            TimeFeatures::Sinusoids { theta } => {
                // From ω = 1 to 1/θ in dim/2 steps, both ends included.
                let step = theta.ln() / (config.dim / 2 - 1) as f64;
                TimeProjection::geometric(config.dim, step, weights.device())
            }
            TimeFeatures::Fourier(count) => TimeProjection::fourier(&weights.at("time_mlp.0"), count),
        }
    }

    fn new(config: &UnetConfig, weights: &Weights) -> Result<Self> {
        let inputs = if config.self_condition { 2 * config.channels } else { config.channels };
        let (init, deepest) = (config.init_dim, config.dims[config.dims.len() - 1]);
        let features = match config.time {
            TimeFeatures::Sinusoids { .. } => config.dim,
            TimeFeatures::Fourier(count) => 2 * count + 1,
        };
        let time = TimestepEmbedding::named(&weights.at("time_mlp"), ["1", "3"], features, config.time_dim())?;
        let resnet = |name: &str, channels| ResnetBlock::new(&weights.at(name), config, channels);
        let middle = config.middle_attention();
        let indices = 0..config.dims.len();
        Ok(UnetLayers {
            self_condition: config.self_condition,
            embedder: Embedder { time: time.activated(Activation::Gelu), labels: Labels::None },
            init_conv: Conv2d::new(&weights.at("init_conv"), inputs, init, 7)?,
            downs: indices.clone().map(|i| Stage::down(weights, config, i)).collect::<Result<_>>()?,
            mid_block1: resnet("mid_block1", [deepest; 2])?,
            mid_attn: PixelAttention::new(&weights.at("mid_attn"), middle, deepest, config.num_mem_kv)?,
            mid_block2: resnet("mid_block2", [deepest; 2])?,
            ups: indices.map(|i| Stage::up(weights, config, i)).collect::<Result<_>>()?,
            final_res_block: resnet("final_res_block", [2 * init, init])?,
            final_conv: Conv2d::new(&weights.at("final_conv"), init, config.out_dim, 1)?,
        })
    }

    fn forward(&self, inputs: &Inputs) -> Result<Dual> {
        let emb = &inputs.signal(self.embedder.forward(inputs.features, inputs.labels)?);
        let first = match self.self_condition {
            true => self.init_conv.forward(&behind_zeros(inputs.x)?)?,
            false => self.init_conv.forward(inputs.x)?,
        };
        let mut h = first.shallow_clone();
        let mut skips = Skips::default();
        for stage in &self.downs {
            h = stage.descend(h, emb, &mut skips)?;
        }
        h = self.mid_attn.forward(&self.mid_block1.forward(&h, emb)?)?;
        h = self.mid_block2.forward(&h, emb)?;
        for stage in &self.ups {
            h = stage.ascend(h, emb, &mut skips)?;
        }
        h = Dual::cat(&[&h, &first], 1)?;
        self.final_conv.forward(&self.final_res_block.forward(&h, emb)?)
    }
}

/// x [B, C, H, W] behind as many channels of zeros, in place of an earlier prediction.
fn behind_zeros(x: &Dual) -> Result<Dual> {
    let zeros = x.value.f_zeros_like().doing("leaving out the earlier prediction")?;
    Dual::cat(&[&Dual::constant(zeros), x], 1)
}

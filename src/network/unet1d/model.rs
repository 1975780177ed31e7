//! The network: x [B, L, A], t `[B]` and, in a conditional one, an observation [B, G] → [B, L, A].
//!
//! c = (MLP(features(t)), observation); down, keeping what each resolution ends with; middle; up, taking that back;
//! y = conv(block(h)).

use super::block::{ConvBlock, ResidualBlock};
use super::config::Unet1dConfig;
use crate::dual::Dual;
use crate::error::{Error, Result};
use crate::network::native::{Facts, Inputs, Layers};
use crate::network::skips::Skips;
use crate::network::{Additions, InputShape};
use crate::nn::{Activation, Conv1d, Linear, TimeProjection, TimeSignal, Weights};
use serde_json::Value;
use std::path::Path;

/// Groups of the last block, whatever those of the others.
const LAST_GROUPS: i64 = 8;

/// Two residual blocks, and a change of the length.
#[derive(Debug)]
struct Stage {
    blocks: [ResidualBlock; 2],
    resample: Option<Conv1d>,
}

impl Stage {
    fn blocks(weights: &Weights, config: &Unet1dConfig, [inputs, outputs]: [i64; 2]) -> Result<[ResidualBlock; 2]> {
        let block = |name, channels| ResidualBlock::new(&weights.at(name), config, channels);
        Ok([block("0", [inputs, outputs])?, block("1", [outputs; 2])?])
    }

    fn forward(&self, x: &Dual, embedding: &TimeSignal) -> Result<Dual> {
        self.blocks[1].forward(&self.blocks[0].forward(x, embedding)?, embedding)
    }

    fn resample(&self, h: Dual) -> Result<Dual> {
        self.resample.as_ref().map_or(Ok(h.shallow_clone()), |conv| conv.forward(&h))
    }
}

/// The layers in the order of the forward pass.
#[derive(Debug)]
pub(super) struct Unet1dLayers {
    time: [Linear; 2],
    down: Vec<Stage>,
    middle: [ResidualBlock; 2],
    up: Vec<Stage>,
    last_block: ConvBlock,
    last: Conv1d,
    input_dim: i64,
    factor: i64,
}

impl Layers for Unet1dLayers {
    type Config = Unet1dConfig;

    fn read(json: &Value, path: &Path) -> Result<Unet1dConfig> {
        Unet1dConfig::from_json(json, path)
    }

    fn facts(config: &Unet1dConfig) -> Facts {
        Facts {
            architecture: super::CLASS,
            config: config.json.clone(),
            input: InputShape::sequences(config.input_dim),
            size_factor: 1,
            classes: None,
            null_label: None,
            context_width: None,
            additions: Additions { width: config.global_cond_dim, observation: true, ..Additions::default() },
            first_weight: "final_conv.1.weight",
            frequencies: None,
        }
    }

    fn time_projection(config: &Unet1dConfig, weights: &Weights) -> Result<TimeProjection> {
        let (width, count) = (config.diffusion_step_embed_dim, config.diffusion_step_embed_dim / 2);
        TimeProjection::geometric(width, 10000f64.ln() / (count - 1) as f64, weights.device())
    }

    fn new(config: &Unet1dConfig, weights: &Weights) -> Result<Self> {
        let (width, dims) = (config.diffusion_step_embed_dim, &config.down_dims);
        let channels: Vec<i64> = std::iter::once(config.input_dim).chain(dims.iter().copied()).collect();
        let levels = dims.len();
        let middle =
            |i: usize| ResidualBlock::new(&weights.at(format!("mid_modules.{i}")), config, [channels[levels]; 2]);
        let encoder = weights.at("diffusion_step_encoder");
        let resample = config.names.resample;
        let down = |i: usize| {
            let (weights, outputs) = (weights.at(format!("down_modules.{i}")), channels[i + 1]);
            let last = i + 1 == levels;
            let halve = if last { None } else { Some(Conv1d::halving(&weights.at(resample), outputs)?) };
            Ok(Stage { blocks: Stage::blocks(&weights, config, [channels[i], outputs])?, resample: halve })
        };
        let up = |i: usize| {
            let weights = weights.at(format!("up_modules.{i}"));
            let (from, to) = (channels[levels - i], channels[levels - i - 1]);
            let double = Some(Conv1d::doubling(&weights.at(resample), to)?);
            Ok(Stage { blocks: Stage::blocks(&weights, config, [2 * from, to])?, resample: double })
        };
        let finest = channels[1];
        Ok(Unet1dLayers {
            time: [Linear::new(&encoder.at("1"), width, 4 * width)?, Linear::new(&encoder.at("3"), 4 * width, width)?],
            down: (0..levels).map(down).collect::<Result<_>>()?,
            middle: [middle(0)?, middle(1)?],
            up: (0..levels - 1).map(up).collect::<Result<_>>()?,
            last_block: ConvBlock::new(&weights.at("final_conv.0"), [finest; 2], config.kernel_size, LAST_GROUPS)?,
            last: Conv1d::new(&weights.at("final_conv.1"), finest, config.input_dim, 1)?,
            input_dim: config.input_dim,
            factor: 1 << (levels - 1),
        })
    }

    fn forward(&self, inputs: &Inputs) -> Result<Dual> {
        self.check(&inputs.x.value.size())?;
        let [first, second] = &self.time;
        let time = second.forward(&Activation::Mish.forward(&first.forward(inputs.features)?)?)?;
        let embedding = match inputs.pooled {
            Some(observation) => Dual::cat(&[&time, &Dual::constant(observation.shallow_clone())], 1)?,
            None => time,
        };
        let embedding = inputs.signal(embedding);
        let mut h = inputs.x.linear(|x| x.f_transpose(1, 2))?;
        let mut skips = Skips::default();
        for stage in &self.down {
            h = stage.forward(&h, &embedding)?;
            skips.keep(&h);
            h = stage.resample(h)?;
        }
        for block in &self.middle {
            h = block.forward(&h, &embedding)?;
        }
        for stage in &self.up {
            h = stage.resample(stage.forward(&skips.beside(&h)?, &embedding)?)?;
        }
        self.last.forward(&self.last_block.forward(&h)?)?.linear(|y| y.f_transpose(1, 2))
    }
}

impl Unet1dLayers {
    /// Refuses an x that is not [B, L, A] with L a multiple of what the network divides it by.
    fn check(&self, size: &[i64]) -> Result<()> {
        match *size {
            [_, length, actions] if actions == self.input_dim && length > 0 && length % self.factor == 0 => Ok(()),
            _ => Err(Error::mismatch(
                format!(
                    "x has shape {size:?}, where the network takes [batch, L, {}] with L a multiple of {}",
                    self.input_dim, self.factor
                ),
                "Give sequences of actions, [N, L, A]; a policy's horizon is such an L.",
            )),
        }
    }
}

//! The network: x [B, in, H, W], t [B] and, in a conditional one, labels [B] → [B, out, H, W].
//!
//! emb = MLP(features(t)) [+ table[label]]; down, keeping the output of every block; middle; up, taking them back;
//! y = conv(silu(norm(h))).

use super::blocks::{Block, input_blocks, middle_block, output_blocks};
use super::config::UNetModelConfig;
use crate::dual::Dual;
use crate::error::Result;
use crate::network::condition::{Embedder, Labels};
use crate::network::native::{Facts, Inputs, Layers};
use crate::network::skips::Skips;
use crate::network::{Additions, InputShape, UsualTime};
use crate::nn::{Activation, Conv2d, GroupNorm, Init, TimeProjection, TimestepEmbedding, Weights};
use serde_json::Value;
use std::path::Path;

/// The layers in the order of the forward pass.
#[derive(Debug)]
pub(super) struct UNetModelLayers {
    embedder: Embedder,
    input_blocks: Vec<Block>,
    middle_block: Block,
    output_blocks: Vec<Block>,
    norm_out: GroupNorm,
    conv_out: Conv2d,
}

impl Layers for UNetModelLayers {
    type Config = UNetModelConfig;

    fn read(json: &Value, path: &Path) -> Result<UNetModelConfig> {
        UNetModelConfig::from_json(json, path)
    }

    /// improved-diffusion has `rescale_timesteps` on by default, guided-diffusion off.
    fn usual_time(_config: &UNetModelConfig) -> UsualTime {
        UsualTime::StepsOrThousandths
    }

    fn facts(config: &UNetModelConfig) -> Facts {
        Facts {
            architecture: super::CLASS,
            config: config.json.clone(),
            input: InputShape::images(config.in_channels, config.image_size.map(|size| [size; 2])),
            // Each resolution but the last is halved.
            size_factor: 1 << (config.channels.len() - 1),
            classes: config.num_classes,
            null_label: None,
            context_width: None,
            additions: Additions::default(),
            first_weight: "input_blocks.0.0.weight",
            frequencies: None,
        }
    }

    fn time_projection(config: &UNetModelConfig, weights: &Weights) -> Result<TimeProjection> {
        TimeProjection::sinusoid(config.model_channels, true, 0.0, weights.device())
    }

    fn new(config: &UNetModelConfig, weights: &Weights) -> Result<Self> {
        let (width, emb, first) = (config.model_channels, config.resnet.embedding, config.channels[0]);
        let (groups, eps) = (config.resnet.norm_groups, config.resnet.norm_epsilon);
        let (input_blocks, skips) = input_blocks(config, weights)?;
        let deepest = skips.last().copied().unwrap_or(first);
        let labels = match config.num_classes {
            Some(classes) => Labels::table(&weights.at("label_emb"), classes, emb, Init::Normal(1.0))?,
            None => Labels::None,
        };
        let time = TimestepEmbedding::named(&weights.at("time_embed"), ["0", "2"], width, emb)?;
        Ok(UNetModelLayers {
            embedder: Embedder { time, labels },
            input_blocks,
            middle_block: middle_block(config, weights, deepest)?,
            output_blocks: output_blocks(config, weights, skips)?,
            norm_out: GroupNorm::new(&weights.at("out.0"), first, groups, eps)?,
            conv_out: Conv2d::new(&weights.at("out.2"), first, config.out_channels, 3)?,
        })
    }

    fn forward(&self, inputs: &Inputs) -> Result<Dual> {
        let emb = inputs.signal(self.embedder.forward(inputs.features, inputs.labels)?);
        let mut h = inputs.x.shallow_clone();
        let mut skips = Skips::default();
        for block in &self.input_blocks {
            h = block.forward(h, &emb)?;
            skips.keep(&h);
        }
        h = self.middle_block.forward(h, &emb)?;
        for block in &self.output_blocks {
            h = block.forward(skips.beside(&h)?, &emb)?;
        }
        self.conv_out.forward(&Activation::Silu.forward(&self.norm_out.forward(&h)?)?)
    }
}

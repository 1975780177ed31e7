//! `FluxTransformer2DModel`: x [B, in/4, H, W], t [B], a context [B, L, D], pooled embeddings [B, P] and, where the network is
//! told one, a guidance scale [B, 1] → [B, in/4, H, W].
//!
//! The original takes x packed, a token of 4 in/4 channels for every 2×2 pixels; here packing is a part of the network. It is
//! told t/1000 there and multiplies by 1000 again; here t is the scheduler's.

use super::attention::AttentionShape;
use super::block::{BlockPlan, JointBlock};
use super::embedding::{ConditionEmbedding, features};
use super::last::Last;
use super::rope::Rope;
use super::single_block::SingleBlock;
use crate::dual::Dual;
use crate::error::{Doing, Error, Result};
use crate::network::keys::{Keys, LARGEST};
use crate::network::native::{Facts, Inputs, Layers};
use crate::network::{Additions, InputShape, Numbers};
use crate::nn::{Activation, Linear, TimeProjection, Weights};
use serde_json::Value;
use std::path::Path;
use tch::Tensor;

pub(super) const CLASS: &str = "FluxTransformer2DModel";

/// Pixels of a token along each side.
const SIDE: i64 = 2;

/// A checked configuration.
#[derive(Debug, Clone)]
pub(super) struct FluxConfig {
    json: Value,
    /// Channels of a token: of its four pixels.
    in_channels: i64,
    out_channels: i64,
    layers: i64,
    single_layers: i64,
    attention: AttentionShape,
    context_width: i64,
    pooled_width: i64,
    /// Whether it is told a guidance scale.
    guidance: bool,
    /// Channels of a head for every axis of places.
    axes: [i64; 3],
}

impl FluxConfig {
    /// Reads and checks the config.json; `path` is for messages.
    fn from_json(json: &Value, path: &Path) -> Result<Self> {
        let mut keys = Keys::new(CLASS, json, path)?;
        let positive = 1..=LARGEST;
        let in_channels = keys.integer("in_channels", 64, positive.clone())?;
        let config = FluxConfig {
            json: json.clone(),
            in_channels,
            out_channels: keys.optional_integer("out_channels", positive.clone())?.unwrap_or(in_channels),
            layers: keys.integer("num_layers", 19, 0..=10_000)?,
            single_layers: keys.integer("num_single_layers", 38, 0..=10_000)?,
            attention: AttentionShape {
                heads: keys.integer("num_attention_heads", 24, 1..=4096)?,
                head_dim: keys.integer("attention_head_dim", 128, 1..=4096)?,
                qk_norm: true,
            },
            context_width: keys.integer("joint_attention_dim", 4096, positive.clone())?,
            pooled_width: keys.integer("pooled_projection_dim", 768, positive)?,
            guidance: keys.value("guidance_embeds", false)?,
            axes: keys.value("axes_dims_rope", [16, 56, 56])?,
        };
        for (key, channels) in [("in_channels", config.in_channels), ("out_channels", config.out_channels)] {
            if channels % (SIDE * SIDE) != 0 {
                return Err(keys.wrong(key, &channels.to_string(), "a token holds 2×2 pixels, so 4 must divide it"));
            }
        }
        keys.integer("patch_size", 1, 1..=1)?;
        let head = config.attention.head_dim;
        let fits = |channels: &i64| (2..=head).contains(channels) && channels % 2 == 0;
        if !config.axes.iter().all(fits) || config.axes.iter().sum::<i64>() != head {
            let allowed = format!("these are three even numbers that make up attention_head_dim = {head}");
            return Err(keys.wrong("axes_dims_rope", &keys.seen("axes_dims_rope"), &allowed));
        }
        keys.finish()?;
        Ok(config)
    }
}

/// The layers in the order of the forward pass.
#[derive(Debug)]
pub(super) struct FluxLayers {
    embedding: ConditionEmbedding,
    image: Linear,
    text: Linear,
    blocks: Vec<JointBlock>,
    single_blocks: Vec<SingleBlock>,
    last: Last,
    axes: [i64; 3],
}

impl Layers for FluxLayers {
    type Config = FluxConfig;

    fn read(json: &Value, path: &Path) -> Result<FluxConfig> {
        FluxConfig::from_json(json, path)
    }

    fn facts(config: &FluxConfig) -> Facts {
        let numbers = config.guidance.then_some(Numbers::Guidance);
        Facts {
            architecture: CLASS,
            config: config.json.clone(),
            input: InputShape::images(config.in_channels / (SIDE * SIDE), None),
            size_factor: SIDE,
            classes: None,
            null_label: None,
            context_width: Some(config.context_width),
            additions: Additions { width: Some(config.pooled_width), numbers, ..Additions::default() },
            first_weight: "x_embedder.weight",
            frequencies: None,
        }
    }

    fn time_projection(_config: &FluxConfig, weights: &Weights) -> Result<TimeProjection> {
        features(weights)
    }

    fn new(config: &FluxConfig, weights: &Weights) -> Result<Self> {
        let (attention, width) = (config.attention, config.attention.width());
        let (blocks, singles) = (weights.at("transformer_blocks"), weights.at("single_transformer_blocks"));
        let plan = BlockPlan { attention, ends_text: false, second_attention: false };
        Ok(FluxLayers {
            image: Linear::new(&weights.at("x_embedder"), config.in_channels, width)?,
            embedding: ConditionEmbedding::new(weights, width, config.pooled_width, config.guidance)?,
            text: Linear::new(&weights.at("context_embedder"), config.context_width, width)?,
            blocks: (0..config.layers).map(|i| JointBlock::new(&blocks.at(i), &plan)).collect::<Result<_>>()?,
            single_blocks: (0..config.single_layers)
                .map(|i| SingleBlock::new(&singles.at(i), &attention))
                .collect::<Result<_>>()?,
            last: Last::new(weights, width, config.out_channels)?,
            axes: config.axes,
        })
    }

    fn forward(&self, inputs: &Inputs) -> Result<Dual> {
        let Some(context) = inputs.context else {
            return Err(Error::mismatch("the network attends to embeddings", "Give a context."));
        };
        let condition = inputs.signal(Activation::Silu.forward(&self.embedding.forward(inputs)?)?);
        let (_, _, height, width) = inputs.x.value.size4().doing("reading the size of x")?;
        let grid = [height / SIDE, width / SIDE];
        let image = self.image.forward(&pack(inputs.x, grid)?)?;
        let text = self.text.forward(&Dual::constant(context.shallow_clone()))?;
        let tokens = text.value.size().get(1).copied().unwrap_or(0);
        let rope = Rope::new(tokens, grid, self.axes, image.value.device())?;
        let mut streams = [text, image];
        for block in &self.blocks {
            streams = block.forward(streams, &condition, Some(&rope))?;
        }
        let mut joined = Dual::cat(&[&streams[0], &streams[1]], 1)?;
        for block in &self.single_blocks {
            joined = block.forward(&joined, &condition, &rope)?;
        }
        let image = joined.linear(|x| x.f_narrow(1, tokens, grid[0] * grid[1]))?;
        unpack(&self.last.forward(&image, &condition)?, grid)
    }

    fn constants(&self) -> Vec<(String, Tensor)> {
        let frequencies = self.embedding.constant();
        frequencies.map(|omega| ("guidance_frequencies".into(), omega)).into_iter().collect()
    }
}

/// [B, C, H, W] → [B, N, 4 C]: the channels of a token are those of x, each with its 2×2 pixels.
fn pack(x: &Dual, [rows, columns]: [i64; 2]) -> Result<Dual> {
    x.linear(|x| {
        let (batch, channels, ..) = x.size4()?;
        let split = x.f_reshape([batch, channels, rows, SIDE, columns, SIDE])?;
        split.f_permute([0, 2, 4, 1, 3, 5])?.f_reshape([batch, rows * columns, channels * SIDE * SIDE])
    })
}

/// [B, N, 4 C] → [B, C, H, W].
fn unpack(x: &Dual, [rows, columns]: [i64; 2]) -> Result<Dual> {
    x.linear(|x| {
        let (batch, _, channels) = x.size3()?;
        let split = x.f_reshape([batch, rows, columns, channels / (SIDE * SIDE), SIDE, SIDE])?;
        split.f_permute([0, 3, 1, 4, 2, 5])?.f_flatten(4, 5)?.f_flatten(2, 3)
    })
}

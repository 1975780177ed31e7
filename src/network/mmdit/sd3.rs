//! `SD3Transformer2DModel`: x [B, in, H, W], t [B], a context [B, L, D] and pooled embeddings [B, P] → [B, out, H, W].

use super::attention::AttentionShape;
use super::block::{BlockPlan, JointBlock};
use super::embedding::{ConditionEmbedding, features};
use super::last::Last;
use crate::dual::Dual;
use crate::error::{Doing, Error, Result};
use crate::network::keys::{Keys, LARGEST, unsupported};
use crate::network::native::{Facts, Inputs, Layers};
use crate::network::{Additions, InputShape};
use crate::nn::{Activation, Conv2d, Init, Linear, TimeProjection, Weights, to_tokens};
use serde_json::Value;
use std::path::Path;
use tch::Tensor;

pub(super) const CLASS: &str = "SD3Transformer2DModel";

/// A checked configuration.
#[derive(Debug, Clone)]
pub(super) struct Sd3Config {
    json: Value,
    sample_size: i64,
    patch_size: i64,
    in_channels: i64,
    out_channels: i64,
    /// Blocks.
    layers: i64,
    attention: AttentionShape,
    context_width: i64,
    pooled_width: i64,
    /// Patches along each side for which there are positions.
    grid: i64,
    /// Blocks whose image tokens have an attention of their own.
    second_attention: Vec<i64>,
}

impl Sd3Config {
    /// Reads and checks the config.json; `path` is for messages.
    fn from_json(json: &Value, path: &Path) -> Result<Self> {
        let mut keys = Keys::new(CLASS, json, path)?;
        let positive = 1..=LARGEST;
        let in_channels = keys.integer("in_channels", 16, positive.clone())?;
        let attention = AttentionShape {
            heads: keys.integer("num_attention_heads", 18, 1..=4096)?,
            head_dim: keys.integer("attention_head_dim", 64, 1..=4096)?,
            qk_norm: qk_norm(&mut keys)?,
        };
        let config = Sd3Config {
            json: json.clone(),
            sample_size: keys.integer("sample_size", 128, positive.clone())?,
            patch_size: keys.integer("patch_size", 2, 1..=1024)?,
            in_channels,
            out_channels: keys.integer_or_null("out_channels", Some(16), positive.clone())?.unwrap_or(in_channels),
            layers: keys.integer("num_layers", 18, 1..=10_000)?,
            attention,
            context_width: keys.integer("joint_attention_dim", 4096, positive.clone())?,
            pooled_width: keys.integer("pooled_projection_dim", 2048, positive.clone())?,
            grid: keys.integer("pos_embed_max_size", 96, 1..=4096)?,
            second_attention: keys.value("dual_attention_layers", Vec::new())?,
        };
        let text = keys.integer("caption_projection_dim", 1152, positive)?;
        if text != attention.width() {
            let allowed = format!("text and image meet in {} channels", attention.width());
            return Err(keys.wrong("caption_projection_dim", &text.to_string(), &allowed));
        }
        if config.sample_size % config.patch_size != 0 {
            let allowed = format!("it must be a multiple of patch_size = {}", config.patch_size);
            return Err(keys.wrong("sample_size", &config.sample_size.to_string(), &allowed));
        }
        keys.check_all("dual_attention_layers", &config.second_attention, 0..=config.layers - 1)?;
        keys.finish()?;
        Ok(config)
    }

    fn block(&self, index: i64) -> BlockPlan {
        BlockPlan {
            attention: self.attention,
            ends_text: index == self.layers - 1,
            second_attention: self.second_attention.contains(&index),
        }
    }
}

/// Whether queries and keys are normalised.
fn qk_norm(keys: &mut Keys) -> Result<bool> {
    match keys.value("qk_norm", None::<String>)?.as_deref() {
        None => Ok(false),
        Some("rms_norm") => Ok(true),
        Some(other) => Err(unsupported("qk_norm", other, "it is null or `rms_norm`")),
    }
}

/// The layers in the order of the forward pass.
#[derive(Debug)]
pub(super) struct Sd3Layers {
    embedding: ConditionEmbedding,
    patches: Conv2d,
    /// Places of the largest grid, [1, G², C].
    positions: Tensor,
    text: Linear,
    blocks: Vec<JointBlock>,
    last: Last,
    grid: i64,
    patch: i64,
}

impl Layers for Sd3Layers {
    type Config = Sd3Config;

    fn read(json: &Value, path: &Path) -> Result<Sd3Config> {
        Sd3Config::from_json(json, path)
    }

    fn facts(config: &Sd3Config) -> Facts {
        Facts {
            architecture: CLASS,
            config: config.json.clone(),
            input: InputShape::images(config.in_channels, Some([config.sample_size; 2])),
            size_factor: config.patch_size,
            classes: None,
            null_label: None,
            context_width: Some(config.context_width),
            additions: Additions { width: Some(config.pooled_width), ..Additions::default() },
            first_weight: "pos_embed.proj.weight",
            frequencies: None,
        }
    }

    fn time_projection(_config: &Sd3Config, weights: &Weights) -> Result<TimeProjection> {
        features(weights)
    }

    fn new(config: &Sd3Config, weights: &Weights) -> Result<Self> {
        let (width, patch, grid) = (config.attention.width(), config.patch_size, config.grid);
        let patches = Conv2d::new(&weights.at("pos_embed.proj"), config.in_channels, width, patch)?.strided(patch, 0);
        let blocks = weights.at("transformer_blocks");
        let block = |i| JointBlock::new(&blocks.at(i), &config.block(i));
        Ok(Sd3Layers {
            patches,
            embedding: ConditionEmbedding::new(weights, width, config.pooled_width, false)?,
            positions: weights.tensor("pos_embed.pos_embed", &[1, grid * grid, width], Init::Normal(0.02))?,
            text: Linear::new(&weights.at("context_embedder"), config.context_width, width)?,
            blocks: (0..config.layers).map(block).collect::<Result<_>>()?,
            last: Last::new(weights, width, patch * patch * config.out_channels)?,
            grid,
            patch,
        })
    }

    fn forward(&self, inputs: &Inputs) -> Result<Dual> {
        let Some(context) = inputs.context else {
            return Err(Error::mismatch("the network attends to embeddings", "Give a context."));
        };
        let condition = inputs.signal(Activation::Silu.forward(&self.embedding.forward(inputs)?)?);
        let (_, _, height, width) = inputs.x.value.size4().doing("reading the size of x")?;
        let grid = [height / self.patch, width / self.patch];
        let image = to_tokens(&self.patches.forward(inputs.x)?)?;
        let positions = self.cropped(grid)?.f_to_kind(image.value.kind()).doing("placing patches")?;
        let image = image.add(&Dual::constant(positions))?;
        let text = self.text.forward(&Dual::constant(context.shallow_clone()))?;
        let mut tokens = [text, image];
        for block in &self.blocks {
            tokens = block.forward(tokens, &condition, None)?;
        }
        let patches = self.last.forward(&tokens[1], &condition)?;
        let ([rows, columns], patch) = (grid, self.patch);
        // [B, N, p·p·out] → [B, rows, columns, p, p, out] → [B, out, rows, p, columns, p] → [B, out, H, W]
        patches.linear(|x| {
            let split = x.f_reshape([-1, rows, columns, patch, patch, x.size3()?.2 / (patch * patch)])?;
            split.f_permute([0, 5, 1, 3, 2, 4])?.f_flatten(4, 5)?.f_flatten(2, 3)
        })
    }
}

impl Sd3Layers {
    /// The places of a smaller grid: the middle of the largest.
    fn cropped(&self, [rows, columns]: [i64; 2]) -> Result<Tensor> {
        let largest = self.grid;
        if rows > largest || columns > largest {
            return Err(Error::mismatch(
                format!("x has {rows}×{columns} patches, where the network has places for {largest}×{largest}"),
                format!("Give latents of up to {0}×{0}.", largest * self.patch),
            ));
        }
        let all = self.positions.f_reshape([1, largest, largest, -1]);
        let middle = all.and_then(|all| {
            let rows = all.f_narrow(1, (largest - rows) / 2, rows)?;
            rows.f_narrow(2, (largest - columns) / 2, columns)?.f_flatten(1, 2)
        });
        middle.doing("placing patches")
    }
}

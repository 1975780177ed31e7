//! The network: x [B, in, H, W], t [B], labels and, where it attends to one, a context [B, L, D] → [B, out, H, W].
//!
//! emb = MLP(features(t)) [+ class embedding] [+ MLP(pooled, features(numbers))]; h = conv_in(x); down, keeping every output; middle; up, taking them back;
//! y = conv_out(a(norm(h))), and y/t where the time features are Fourier features.
//!
//! Labels are int64 `[B]`; where `class_embed_type` is `identity` or `projection` they are vectors [B, width].

use super::blocks::{DownBlock, MidBlock, Side, UpBlock};
use super::config::{ClassEmbedding, TimeEmbeddingType, UNet2dConfig};
use super::text_time::{TextTime, TextTimeConfig};
use crate::dual::Dual;
use crate::error::{Doing, Result};
use crate::network::condition::Embedder;
use crate::network::native::{Facts, Inputs, Layers};
use crate::network::skips::Skips;
use crate::network::{Additions, InputShape};
use crate::nn::{Activation, Conv2d, GroupNorm, TimeProjection, Weights};
use serde_json::Value;
use std::path::Path;
use tch::Tensor;

/// The site where the output is divided by t.
const DIVISION: &str = "division_by_t";

/// The layers of diffusers' U-Nets in the order of the forward pass.
#[derive(Debug)]
pub struct UNet2dLayers {
    center_input_sample: bool,
    embedder: Embedder,
    text_time: Option<TextTime>,
    conv_in: Conv2d,
    down_blocks: Vec<DownBlock>,
    mid_block: Option<MidBlock>,
    up_blocks: Vec<UpBlock>,
    conv_norm_out: GroupNorm,
    last_activation: Activation,
    conv_out: Conv2d,
    divide_by_time: bool,
}

impl Layers for UNet2dLayers {
    type Config = UNet2dConfig;

    fn read(json: &Value, path: &Path) -> Result<UNet2dConfig> {
        UNet2dConfig::from_json(json, path)
    }

    fn facts(config: &UNet2dConfig) -> Facts {
        Facts {
            architecture: config.class_name,
            config: config.json.clone(),
            input: InputShape::images(config.body.in_channels, config.sample_size),
            size_factor: config.size_factor(),
            // A network whose labels are not rows of a table has no such number.
            classes: match config.class_embedding {
                ClassEmbedding::Table(classes) => Some(classes),
                _ => None,
            },
            null_label: None,
            context_width: config.cross_attention_dim,
            additions: config.text_time.map_or_else(Additions::default, TextTimeConfig::additions),
            first_weight: "conv_in.weight",
            frequencies: Some("time_proj."),
        }
    }

    fn time_projection(config: &UNet2dConfig, weights: &Weights) -> Result<TimeProjection> {
        config.time_projection(weights)
    }

    fn new(config: &UNet2dConfig, weights: &Weights) -> Result<Self> {
        let plan = &config.body;
        let (first, last) = (plan.channels[0], plan.channels[plan.channels.len() - 1]);
        let indices = 0..plan.channels.len();
        let embedder =
            Embedder { time: config.time_embedding(&weights.at("time_embedding"))?, labels: config.labels(weights)? };
        let (groups, eps) = (plan.resnet.norm_groups, plan.resnet.norm_epsilon);
        let mid = plan.mid.as_ref().map(|mid| MidBlock::new(weights, mid, &plan.resnet, last));
        Ok(UNet2dLayers {
            center_input_sample: config.center_input_sample,
            embedder,
            text_time: config.text_time(weights)?,
            conv_in: Conv2d::new(&weights.at("conv_in"), plan.in_channels, first, 3)?,
            down_blocks: indices.clone().map(|i| DownBlock::new(weights, plan, i)).collect::<Result<_>>()?,
            mid_block: mid.transpose()?,
            up_blocks: indices.map(|i| UpBlock::new(weights, plan, i)).collect::<Result<_>>()?,
            conv_norm_out: GroupNorm::new(&weights.at("conv_norm_out"), first, groups, eps)?,
            last_activation: plan.last_activation,
            conv_out: Conv2d::new(&weights.at("conv_out"), first, plan.out_channels, 3)?,
            divide_by_time: config.time_embedding_type == TimeEmbeddingType::Fourier,
        })
    }

    fn forward(&self, inputs: &Inputs) -> Result<Dual> {
        let mut emb = self.embedder.forward(inputs.features, inputs.labels)?;
        if let Some(text_time) = &self.text_time {
            emb = emb.add(&text_time.forward(inputs)?)?;
        }
        let emb = inputs.signal(emb);
        let context = inputs.context.map(|context| Dual::constant(context.shallow_clone()));
        let side = Side { emb: &emb, context: context.as_ref() };
        let mut h = match self.center_input_sample {
            true => self.conv_in.forward(&center(inputs.x)?)?,
            false => self.conv_in.forward(inputs.x)?,
        };
        let mut skips = Skips::default();
        skips.keep(&h);
        for block in &self.down_blocks {
            h = block.forward(h, side, &mut skips)?;
        }
        if let Some(block) = &self.mid_block {
            h = block.forward(&h, side)?;
        }
        for block in &self.up_blocks {
            h = block.forward(h, side, &mut skips)?;
        }
        let y = self.conv_out.forward(&self.last_activation.forward(&self.conv_norm_out.forward(&h)?)?)?;
        if self.divide_by_time { divide_by_time(&y, &inputs.time_at(DIVISION)) } else { Ok(y) }
    }

    fn constants(&self) -> Vec<(String, Tensor)> {
        let frequencies = self.text_time.as_ref().and_then(TextTime::constant);
        frequencies.map(|omega| ("addition_frequencies".into(), omega)).into_iter().collect()
    }
}

/// 2x − 1
fn center(x: &Dual) -> Result<Dual> {
    let mut centered = x.linear(|x| x.f_mul_scalar(2.0))?;
    centered.value = centered.value.f_sub_scalar(1.0).doing("centring the input")?;
    Ok(centered)
}

/// y = h/t, ẏ = (ḣ − y ṫ)/t, in the dtype of t and then in that of h.
fn divide_by_time(h: &Dual, t: &Dual) -> Result<Dual> {
    let doing = "dividing by the timestep";
    let per_sample = |t: &Tensor| t.f_reshape([-1, 1, 1, 1]).doing(doing);
    let time = per_sample(&t.value)?;
    let y = h.value.f_div(&time).doing(doing)?;
    let through_time = match &t.tangent {
        Some(dt) => Some(y.f_mul(&per_sample(dt)?).doing(doing)?),
        None => None,
    };
    let numerator = match (&h.tangent, through_time) {
        (Some(dh), Some(through_time)) => Some(dh.f_sub(&through_time).doing(doing)?),
        (Some(dh), None) => Some(dh.shallow_clone()),
        (None, Some(through_time)) => Some(through_time.f_neg().doing(doing)?),
        (None, None) => None,
    };
    let tangent = match numerator {
        Some(numerator) => Some(numerator.f_div(&time).doing(doing)?),
        None => None,
    };
    Dual { value: y, tangent }.linear(|y| y.f_to_kind(h.value.kind()))
}

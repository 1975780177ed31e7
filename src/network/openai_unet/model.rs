//! The network: x [B, in, H, W], t [B] and, in a conditional one, labels [B] → [B, out, H, W].
//!
//! emb = MLP(features(t)) [+ table[label]]; down, keeping the output of every block; middle; up, taking them back;
//! y = conv(silu(norm(h))).

use super::blocks::{Block, input_blocks, middle_block, output_blocks};
use super::config::UNetModelConfig;
use crate::dual::Dual;
use crate::error::{Error, Result};
use crate::network::images::{Images, handles, kind_of, moved};
use crate::network::labels::Labels;
use crate::network::{Condition, InputShape, Network, TIME_AND_FEATURES};
use crate::nn::{Activation, Conv2d, GroupNorm, Init, TimeProjection, TimestepEmbedding, Weights};
use serde_json::Value;
use tch::{Device, Kind, Tensor};

/// OpenAI's `UNetModel`.
#[derive(Debug)]
pub struct UNetModel {
    config: UNetModelConfig,
    layers: Layers,
    /// Handles on the same tensors as the layers', under the file's names.
    parameters: Vec<(String, Tensor)>,
    kind: Kind,
    /// dtype of t and its features, where it does not follow from `kind`.
    time_kind: Option<Kind>,
}

/// The layers in the order of the forward pass.
#[derive(Debug)]
struct Layers {
    time_proj: TimeProjection,
    time_embed: TimestepEmbedding,
    labels: Labels,
    input_blocks: Vec<Block>,
    middle_block: Block,
    output_blocks: Vec<Block>,
    norm_out: GroupNorm,
    conv_out: Conv2d,
}

impl Layers {
    fn new(config: &UNetModelConfig, weights: &Weights) -> Result<Self> {
        let (width, emb, first) = (config.model_channels, config.time_embed_dim(), config.channels[0]);
        let (input_blocks, skips) = input_blocks(config, weights)?;
        let deepest = skips.last().copied().unwrap_or(first);
        let labels = match config.num_classes {
            Some(classes) => {
                Labels::Table(weights.at("label_emb").tensor("weight", &[classes, emb], Init::Normal(1.0))?)
            }
            None => Labels::None,
        };
        Ok(Layers {
            time_proj: TimeProjection::sinusoid(width, true, 0.0, weights.device())?,
            time_embed: TimestepEmbedding::named(&weights.at("time_embed"), ["0", "2"], width, emb)?,
            labels,
            input_blocks,
            middle_block: middle_block(config, weights, deepest)?,
            output_blocks: output_blocks(config, weights, skips)?,
            norm_out: GroupNorm::new(&weights.at("out.0"), first, config.norm_num_groups, 1e-5)?,
            conv_out: Conv2d::new(&weights.at("out.2"), first, config.out_channels, 3)?,
        })
    }

    fn forward(&self, x: &Dual, emb: &Dual) -> Result<Dual> {
        let mut h = x.shallow_clone();
        let mut skips = Vec::with_capacity(self.input_blocks.len());
        for block in &self.input_blocks {
            h = block.forward(h, emb)?;
            skips.push(h.shallow_clone());
        }
        h = self.middle_block.forward(h, emb)?;
        for block in &self.output_blocks {
            if let Some(skip) = skips.pop() {
                h = Dual::cat(&[&h, &skip], 1)?;
            }
            h = block.forward(h, emb)?;
        }
        self.conv_out.forward(&Activation::Silu.forward(&self.norm_out.forward(&h)?)?)
    }
}

impl UNetModel {
    /// The network of `config`, with parameters that share memory with `weights`.
    ///
    /// # Errors
    /// Where a parameter is missing, has another shape than `config` says, or has no place in the network.
    pub fn new(config: &UNetModelConfig, weights: &Weights) -> Result<Self> {
        let layers = Layers::new(config, weights)?;
        weights.finish()?;
        let parameters = weights.named();
        let kind = kind_of(&parameters, "input_blocks.0.0.weight");
        Ok(UNetModel { config: config.clone(), layers, parameters, kind, time_kind: None })
    }
}

impl Network for UNetModel {
    fn forward(&self, x: &Dual, t: &Dual, condition: &Condition) -> Result<Dual> {
        let (channels, multiple_of) = (self.config.in_channels, self.config.size_factor());
        Images { channels, kind: self.kind, multiple_of }.check(x, t)?;
        if condition.context.is_some() {
            let problem = "embeddings were given to a network that attends to none";
            return Err(Error::mismatch(problem, "Leave the context out."));
        }
        let features = self.layers.time_proj.forward_in(t, self.time_kind, self.kind)?;
        let emb = self.layers.time_embed.forward(&features)?;
        let emb = self.layers.labels.add_to(emb, condition.labels.as_ref(), &self.layers.time_proj, self.kind)?;
        self.layers.forward(x, &emb)
    }

    fn carries_tangents(&self) -> bool {
        true
    }

    fn input_shape(&self) -> InputShape {
        let channels = self.config.in_channels;
        InputShape {
            sample: self.config.image_size.map(|size| vec![channels, size, size]),
            channels: Some(channels),
            resizable: true,
        }
    }

    fn classes(&self) -> Option<i64> {
        self.config.num_classes
    }

    fn architecture(&self) -> String {
        super::CLASS.into()
    }

    fn parameters(&self) -> Vec<(String, Tensor)> {
        handles(&self.parameters)
    }

    fn config(&self) -> Option<Value> {
        Some(self.config.json.clone())
    }

    fn constants(&self) -> Vec<(String, Tensor)> {
        self.layers.time_proj.constant().map(|omega| ("frequencies".into(), omega)).into_iter().collect()
    }

    fn set_time_kind(&mut self, kind: Option<Kind>) -> Result<&'static str> {
        self.time_kind = kind;
        Ok(TIME_AND_FEATURES)
    }

    fn time_kind(&self) -> Option<Kind> {
        self.time_kind
    }

    fn to(&mut self, device: Device, kind: Kind) -> Result<()> {
        // Layers hold nothing but handles on parameters, so new layers are the short way to move all of them.
        let network = UNetModel::new(&self.config, &moved(&self.parameters, device, kind, &[])?)?;
        *self = UNetModel { time_kind: self.time_kind, ..network };
        Ok(())
    }
}

//! The network: x [B, in, H, W], t [B] and a context [B, L, D] → [B, out, H, W].

use super::config::{ClassEmbedding, ConditionConfig};
use crate::dual::Dual;
use crate::error::{Error, Result};
use crate::network::images::{Images, center, handles, kind_of, moved};
use crate::network::labels::Labels;
use crate::network::unet_blocks::{Body, Side};
use crate::network::{Condition, InputShape, Network, TIME_AND_FEATURES};
use crate::nn::{Init, TimeProjection, TimestepEmbedding, Weights};
use serde_json::Value;
use tch::{Device, Kind, Tensor};

/// diffusers' `UNet2DConditionModel`.
#[derive(Debug)]
pub struct UNet2dCondition {
    config: ConditionConfig,
    time_proj: TimeProjection,
    time_embedding: TimestepEmbedding,
    labels: Labels,
    body: Body,
    /// Handles on the same tensors as the layers', under the file's names.
    parameters: Vec<(String, Tensor)>,
    kind: Kind,
    /// dtype of t and its features, where it does not follow from `kind`.
    time_kind: Option<Kind>,
}

impl UNet2dCondition {
    /// The network of `config`, with parameters that share memory with `weights`.
    ///
    /// # Errors
    /// Where a parameter is missing, has another shape than `config` says, or has no place in the network.
    pub(super) fn new(config: &ConditionConfig, weights: &Weights) -> Result<Self> {
        let (features, resnet) = (config.time_features(), &config.body.resnet);
        let dense = TimestepEmbedding::new(&weights.at("time_embedding"), features, resnet.time_embed_dim)?;
        let time_proj =
            TimeProjection::sinusoid(features, config.flip_sin_to_cos, config.freq_shift, weights.device())?;
        let labels = labels(config, &weights.at("class_embedding"))?;
        let body = Body::new(weights, &config.body)?;
        weights.finish()?;
        let parameters = weights.named();
        Ok(UNet2dCondition {
            config: config.clone(),
            time_proj,
            time_embedding: dense.activated(resnet.act_fn),
            labels,
            body,
            kind: kind_of(&parameters, "conv_in.weight"),
            parameters,
            time_kind: None,
        })
    }

    /// The context of a batch, checked: it must be there, [B, L, D].
    fn context(&self, condition: &Condition, batch: i64) -> Result<Dual> {
        let width = self.config.cross_attention_dim;
        let Some(context) = &condition.context else {
            return Err(Error::mismatch(
                format!("the network attends to embeddings [batch, tokens, {width}], and none were given"),
                "Give what its text encoder (or other encoder) made of the condition.",
            ));
        };
        let size = context.size();
        match size.as_slice() {
            &[rows, tokens, found] if rows == batch && tokens > 0 && found == width => {}
            _ => {
                return Err(Error::mismatch(
                    format!("the context has shape {size:?}, where the network takes [{batch}, tokens, {width}]"),
                    "Give embeddings of the encoder that the network was trained with, one row for each sample.",
                ));
            }
        }
        if context.kind() != self.kind {
            let problem = format!("the context is {:?}, where the network computes in {:?}", context.kind(), self.kind);
            return Err(Error::mismatch(problem, "Convert one of them."));
        }
        Ok(Dual::constant(context.shallow_clone()))
    }

    /// emb [B, E] from t [B] and the labels.
    fn embedding(&self, t: &Dual, labels: Option<&Tensor>) -> Result<Dual> {
        let features = self.time_proj.forward_in(t, self.time_kind, self.kind)?;
        self.labels.add_to(self.time_embedding.forward(&features)?, labels, &self.time_proj, self.kind)
    }
}

fn labels(config: &ConditionConfig, weights: &Weights) -> Result<Labels> {
    let (emb, act_fn) = (config.body.resnet.time_embed_dim, config.body.resnet.act_fn);
    Ok(match config.class_embedding {
        ClassEmbedding::None => Labels::None,
        ClassEmbedding::Table(classes) => {
            Labels::Table(weights.tensor("weight", &[classes, emb], Init::Normal(1.0))?)
        }
        ClassEmbedding::Timestep => {
            Labels::Timestep(TimestepEmbedding::new(weights, config.time_features(), emb)?.activated(act_fn))
        }
        // This one has a SiLU whatever the network's activation.
        ClassEmbedding::Projection(width) => Labels::Projection(TimestepEmbedding::new(weights, width, emb)?, width),
        ClassEmbedding::Identity => Labels::Identity(emb),
    })
}

impl Network for UNet2dCondition {
    /// Labels are int64 `[B]`; where `class_embed_type` is `identity` or `projection` they are vectors [B, width].
    fn forward(&self, x: &Dual, t: &Dual, condition: &Condition) -> Result<Dual> {
        let (channels, multiple_of) = (self.config.body.in_channels, self.config.size_factor());
        Images { channels, kind: self.kind, multiple_of }.check(x, t)?;
        let context = self.context(condition, t.value.size().first().copied().unwrap_or(0))?;
        let emb = self.embedding(t, condition.labels.as_ref())?;
        let x = if self.config.center_input_sample { center(x)? } else { x.shallow_clone() };
        self.body.forward(&x, Side { emb: &emb, context: Some(&context) })
    }

    fn carries_tangents(&self) -> bool {
        true
    }

    fn input_shape(&self) -> InputShape {
        let channels = self.config.body.in_channels;
        InputShape {
            sample: self.config.sample_size.map(|[height, width]| vec![channels, height, width]),
            channels: Some(channels),
            resizable: true,
        }
    }

    /// The size of the table of classes. A network whose labels are not rows of a table has no such number.
    fn classes(&self) -> Option<i64> {
        match self.config.class_embedding {
            ClassEmbedding::Table(classes) => Some(classes),
            _ => None,
        }
    }

    fn context_width(&self) -> Option<i64> {
        Some(self.config.cross_attention_dim)
    }

    fn architecture(&self) -> String {
        super::CLASS_NAME.into()
    }

    fn config(&self) -> Option<Value> {
        Some(self.config.json.clone())
    }

    fn constants(&self) -> Vec<(String, Tensor)> {
        self.time_proj.constant().map(|omega| ("frequencies".into(), omega)).into_iter().collect()
    }

    fn parameters(&self) -> Vec<(String, Tensor)> {
        handles(&self.parameters)
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
        let network = UNet2dCondition::new(&self.config, &moved(&self.parameters, device, kind, &[])?)?;
        *self = UNet2dCondition { time_kind: self.time_kind, ..network };
        Ok(())
    }
}

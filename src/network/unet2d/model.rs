//! The network: x [B, in, H, W] and t [B] → [B, out, H, W].
//!
//! emb = MLP(features(t)) [+ class embedding]; h = conv_in(x); down, keeping every output; middle; up, taking them back;
//! y = conv_out(silu(norm(h))), and y/t where the time features are Fourier features.

use super::config::{ClassEmbedding, TimeEmbeddingType, UNet2dConfig};
use crate::dual::Dual;
use crate::error::{Doing, Result};
use crate::network::images::{Images, center, handles, kind_of, moved};
use crate::network::labels::Labels;
use crate::network::unet_blocks::{Body, Side};
use crate::network::{Condition, InputShape, Network, TIME_AND_FEATURES, integer_time};
use crate::nn::{Init, TimeProjection, TimestepEmbedding, Weights};
use tch::{Device, Kind, Tensor};

/// diffusers' `UNet2DModel`.
#[derive(Debug)]
pub struct UNet2d {
    config: UNet2dConfig,
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
    time_embedding: TimestepEmbedding,
    labels: Labels,
    body: Body,
}

impl UNet2d {
    /// The network of `config`, with parameters that share memory with `weights`. It computes in the dtype of
    /// `conv_in.weight`; where a file mixes dtypes, [`Network::to`] makes them one.
    ///
    /// # Errors
    /// Where a parameter is missing, has another shape than `config` says, or has no place in the network.
    pub fn new(config: &UNet2dConfig, weights: &Weights) -> Result<Self> {
        let layers = Layers::new(config, weights)?;
        weights.finish()?;
        let parameters = weights.named();
        let kind = kind_of(&parameters, "conv_in.weight");
        Ok(UNet2d { config: config.clone(), layers, parameters, kind, time_kind: None })
    }

    /// emb [B, E] from t [B] and the labels.
    fn embedding(&self, t: &Dual, condition: &Condition) -> Result<Dual> {
        let features = self.layers.time_proj.forward_in(t, self.time_kind, self.kind)?;
        let emb = self.layers.time_embedding.forward(&features)?;
        self.layers.labels.add_to(emb, condition.labels.as_ref(), &self.layers.time_proj, self.kind)
    }

    /// y = h/t, ẏ = (ḣ − y ṫ)/t, in the dtype of t and then in that of the network.
    fn divide_by_time(&self, h: &Dual, t: &Dual) -> Result<Dual> {
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
        Dual { value: y, tangent }.linear(|y| y.f_to_kind(self.kind))
    }
}

impl Layers {
    fn new(config: &UNet2dConfig, weights: &Weights) -> Result<Self> {
        let (features, emb) = (config.time_features(), config.time_embed_dim);
        Ok(Layers {
            time_proj: time_projection(config, &weights.at("time_proj"))?,
            time_embedding: TimestepEmbedding::new(&weights.at("time_embedding"), features, emb)?,
            labels: labels(config, &weights.at("class_embedding"))?,
            body: Body::new(weights, &config.body())?,
        })
    }
}

fn time_projection(config: &UNet2dConfig, weights: &Weights) -> Result<TimeProjection> {
    let width = config.block_out_channels[0];
    match config.time_embedding_type {
        TimeEmbeddingType::Positional => {
            TimeProjection::sinusoid(width, config.flip_sin_to_cos, config.freq_shift, weights.device())
        }
        TimeEmbeddingType::Fourier => TimeProjection::gaussian_fourier(weights, width),
        TimeEmbeddingType::Learned(timesteps) => TimeProjection::learned(weights, timesteps, width),
    }
}

fn labels(config: &UNet2dConfig, weights: &Weights) -> Result<Labels> {
    let emb = config.time_embed_dim;
    Ok(match config.class_embedding {
        ClassEmbedding::None => Labels::None,
        ClassEmbedding::Table(classes) => {
            Labels::Table(weights.tensor("weight", &[classes, emb], Init::Normal(1.0))?)
        }
        ClassEmbedding::Timestep => Labels::Timestep(TimestepEmbedding::new(weights, config.time_features(), emb)?),
        ClassEmbedding::Identity => Labels::Identity(emb),
    })
}

impl Network for UNet2d {
    /// Labels are int64 `[B]`; where `class_embed_type` is `identity` they are embeddings [B, time_embed_dim].
    fn forward(&self, x: &Dual, t: &Dual, condition: &Condition) -> Result<Dual> {
        let (channels, multiple_of) = (self.config.in_channels, self.config.size_factor());
        Images { channels, kind: self.kind, multiple_of }.check(x, t)?;
        let emb = self.embedding(t, condition)?;
        let x = if self.config.center_input_sample { center(x)? } else { x.shallow_clone() };
        let y = self.layers.body.forward(&x, Side { emb: &emb, context: None })?;
        if self.config.time_embedding_type == TimeEmbeddingType::Fourier { self.divide_by_time(&y, t) } else { Ok(y) }
    }

    fn carries_tangents(&self) -> bool {
        true
    }

    fn input_shape(&self) -> InputShape {
        let channels = self.config.in_channels;
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
            ClassEmbedding::None | ClassEmbedding::Timestep | ClassEmbedding::Identity => None,
        }
    }

    fn architecture(&self) -> String {
        "UNet2DModel".into()
    }

    fn config(&self) -> Option<serde_json::Value> {
        let mut json = self.config.json.clone();
        // Old files leave it out.
        json.as_object_mut()?.entry("_class_name").or_insert_with(|| self.architecture().into());
        Some(json)
    }

    fn constants(&self) -> Vec<(String, Tensor)> {
        self.layers.time_proj.constant().map(|omega| ("frequencies".into(), omega)).into_iter().collect()
    }

    fn parameters(&self) -> Vec<(String, Tensor)> {
        handles(&self.parameters)
    }

    fn set_time_kind(&mut self, kind: Option<Kind>) -> Result<&'static str> {
        if !self.layers.time_proj.computes_features() {
            return Err(integer_time("UNet2DModel with a learned table"));
        }
        self.time_kind = kind;
        Ok(TIME_AND_FEATURES)
    }

    fn time_kind(&self) -> Option<Kind> {
        self.time_kind
    }

    fn to(&mut self, device: Device, kind: Kind) -> Result<()> {
        // Layers hold nothing but handles on parameters, so new layers are the short way to move all of them.
        let network = UNet2d::new(&self.config, &moved(&self.parameters, device, kind, &["time_proj."])?)?;
        *self = UNet2d { time_kind: self.time_kind, ..network };
        Ok(())
    }
}

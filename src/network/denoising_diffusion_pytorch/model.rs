//! The network: x [B, C, H, W] and t [B] → [B, out, H, W].
//!
//! emb = MLP(features(t)); r = conv(x); down, keeping two outputs of every resolution; middle; up, taking them back;
//! y = conv(resnet([h, r])).

use super::attention::PixelAttention;
use super::blocks::{ResnetBlock, Stage};
use super::config::{TimeFeatures, UnetConfig};
use crate::dual::Dual;
use crate::error::{Doing, Error, Result};
use crate::network::images::{Images, handles, kind_of, moved};
use crate::network::{Condition, InputShape, Network, TIME_AND_FEATURES};
use crate::nn::{Activation, Conv2d, TimeProjection, TimestepEmbedding, Weights};
use serde_json::Value;
use tch::{Device, Kind, Tensor};

/// denoising-diffusion-pytorch's `Unet`.
#[derive(Debug)]
pub struct Unet {
    config: UnetConfig,
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
    init_conv: Conv2d,
    time_proj: TimeProjection,
    time_mlp: TimestepEmbedding,
    downs: Vec<Stage>,
    mid_block1: ResnetBlock,
    mid_attn: PixelAttention,
    mid_block2: ResnetBlock,
    ups: Vec<Stage>,
    final_res_block: ResnetBlock,
    final_conv: Conv2d,
}

impl Layers {
    fn new(config: &UnetConfig, weights: &Weights) -> Result<Self> {
        let inputs = if config.self_condition { 2 * config.channels } else { config.channels };
        let (init, deepest) = (config.init_dim, config.dims[config.dims.len() - 1]);
        let (time_proj, features) = time_projection(config, &weights.at("time_mlp.0"))?;
        let time_mlp = TimestepEmbedding::named(&weights.at("time_mlp"), ["1", "3"], features, config.time_dim())?;
        let resnet = |name: &str, channels| ResnetBlock::new(&weights.at(name), config, channels);
        let middle = config.middle_attention();
        let indices = 0..config.dims.len();
        Ok(Layers {
            init_conv: Conv2d::new(&weights.at("init_conv"), inputs, init, 7)?,
            time_proj,
            time_mlp: time_mlp.activated(Activation::Gelu),
            downs: indices.clone().map(|i| Stage::down(weights, config, i)).collect::<Result<_>>()?,
            mid_block1: resnet("mid_block1", [deepest; 2])?,
            mid_attn: PixelAttention::new(&weights.at("mid_attn"), middle, deepest, config.num_mem_kv)?,
            mid_block2: resnet("mid_block2", [deepest; 2])?,
            ups: indices.map(|i| Stage::up(weights, config, i)).collect::<Result<_>>()?,
            final_res_block: resnet("final_res_block", [2 * init, init])?,
            final_conv: Conv2d::new(&weights.at("final_conv"), init, config.out_dim, 1)?,
        })
    }

    fn forward(&self, x: &Dual, emb: &Dual) -> Result<Dual> {
        let first = self.init_conv.forward(x)?;
        let mut h = first.shallow_clone();
        let mut skips = Vec::with_capacity(2 * self.downs.len());
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

/// The features of t, and how many there are.
fn time_projection(config: &UnetConfig, weights: &Weights) -> Result<(TimeProjection, i64)> {
    match config.time {
        TimeFeatures::Sinusoids { theta } => {
            // From ω = 1 to 1/θ in dim/2 steps, both ends included.
            let step = theta.ln() / (config.dim / 2 - 1) as f64;
            Ok((TimeProjection::geometric(config.dim, step, weights.device())?, config.dim))
        }
        TimeFeatures::Fourier(count) => Ok((TimeProjection::fourier(weights, count)?, 2 * count + 1)),
    }
}

impl Unet {
    /// The network of `config`, with parameters that share memory with `weights`.
    ///
    /// # Errors
    /// Where a parameter is missing, has another shape than `config` says, or has no place in the network.
    pub fn new(config: &UnetConfig, weights: &Weights) -> Result<Self> {
        let layers = Layers::new(config, weights)?;
        weights.finish()?;
        let parameters = weights.named();
        let kind = kind_of(&parameters, "init_conv.weight");
        Ok(Unet { config: config.clone(), layers, parameters, kind, time_kind: None })
    }
}

impl Network for Unet {
    fn forward(&self, x: &Dual, t: &Dual, condition: &Condition) -> Result<Dual> {
        let (channels, multiple_of) = (self.config.channels, self.config.size_factor());
        Images { channels, kind: self.kind, multiple_of }.check(x, t)?;
        if condition.labels.is_some() || condition.context.is_some() {
            let problem = "labels or embeddings were given to an unconditional network";
            return Err(Error::mismatch(problem, "Leave them out."));
        }
        let features = self.layers.time_proj.forward_in(t, self.time_kind, self.kind)?;
        let emb = self.layers.time_mlp.forward(&features)?;
        if !self.config.self_condition {
            return self.layers.forward(x, &emb);
        }
        let nothing = x.value.f_zeros_like().doing("leaving out the earlier prediction")?;
        self.layers.forward(&Dual::cat(&[&Dual::constant(nothing), x], 1)?, &emb)
    }

    fn carries_tangents(&self) -> bool {
        true
    }

    fn input_shape(&self) -> InputShape {
        let channels = self.config.channels;
        InputShape {
            sample: self.config.image_size.map(|size| vec![channels, size, size]),
            channels: Some(channels),
            resizable: true,
        }
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
        let network = Unet::new(&self.config, &moved(&self.parameters, device, kind, &["time_mlp.0."])?)?;
        *self = Unet { time_kind: self.time_kind, ..network };
        Ok(())
    }
}

//! The network: from (u, c, label) to F.

use super::config::{EdmUNetConfig, Family, Naming};
use super::layers::{Decode, Encode};
use super::names::Names;
use super::{DHARIWAL, NCSNPP, SONG};
use crate::dual::Dual;
use crate::error::{Doing, Error, Result};
use crate::network::condition::in_range;
use crate::network::native::{Facts, Inputs, Layers};
use crate::network::skips::Skips;
use crate::network::{Additions, InputShape};
use crate::nn::{Activation, Linear, TimeProjection, TimestepEmbedding, Weights};
use serde_json::Value;
use std::path::Path;
use tch::{Kind, Tensor};

/// The layers in the order of the forward pass.
#[derive(Debug)]
pub(super) struct EdmUNet {
    dense: TimestepEmbedding,
    label: Option<Label>,
    encode: Encode,
    decode: Decode,
    /// The resampling filter, where the file has none.
    filter: Option<Tensor>,
}

/// What a class label adds to the embedding.
#[derive(Debug)]
struct Label {
    linear: Linear,
    classes: i64,
    /// Whether it is added to the features, before the dense layers, and then times √classes.
    to_features: bool,
}

impl Layers for EdmUNet {
    type Config = EdmUNetConfig;

    fn read(json: &Value, path: &Path) -> Result<EdmUNetConfig> {
        match json.get("_class_name").and_then(Value::as_str) {
            Some(NCSNPP) => super::score_sde::config(json, path),
            _ => EdmUNetConfig::from_json(json, path),
        }
    }

    fn facts(config: &EdmUNetConfig) -> Facts {
        let (conditional, listed) = (config.label_dim > 0, config.naming == Naming::Listed);
        Facts {
            architecture: match (config.naming, config.is_song()) {
                (Naming::Listed, _) => NCSNPP,
                (Naming::Placed, true) => SONG,
                (Naming::Placed, false) => DHARIWAL,
            },
            config: config.json.clone(),
            input: InputShape::images(config.in_channels, config.img_resolution.map(|size| [size; 2])),
            size_factor: 1 << (config.channels.len() - 1),
            classes: conditional.then_some(config.label_dim),
            null_label: (conditional && config.has_null_label).then_some(config.label_dim),
            context_width: None,
            additions: Additions::default(),
            first_weight: if listed { "all_modules.1.weight" } else { "map_layer0.weight" },
            frequencies: Some(if listed { "all_modules.0.W" } else { "map_noise.freqs" }),
        }
    }

    fn time_projection(config: &EdmUNetConfig, weights: &Weights) -> Result<TimeProjection> {
        let (width, device) = (config.noise_channels, weights.device());
        match config.family {
            Family::Song { fourier: true, .. } if config.naming == Naming::Listed => {
                TimeProjection::waves(&weights.at("all_modules.0"), "W", width / 2)
            }
            Family::Song { fourier: false, .. } if config.naming == Naming::Listed => {
                let step = 10000f64.ln() / (width / 2 - 1) as f64;
                TimeProjection::geometric(width, step, device)
            }
            Family::Song { fourier: true, .. } => TimeProjection::waves(&weights.at("map_noise"), "freqs", width / 2),
            // Sines first: the original computes cosines first and swaps both halves.
            Family::Song { fourier: false, .. } => TimeProjection::powers(width, false, true, device),
            Family::Dhariwal { .. } => TimeProjection::powers(width, true, false, device),
        }
    }

    fn new(config: &EdmUNetConfig, weights: &Weights) -> Result<Self> {
        let (noise, emb) = (config.noise_channels, config.embedding);
        let to_features = config.is_song();
        let label = match config.label_dim {
            0 => None,
            classes if to_features => Some(Linear::new(&weights.at("map_label"), classes, noise)?),
            classes => Some(Linear::without_bias(&weights.at("map_label"), classes, emb)?),
        };
        if config.augment_dim > 0 {
            // Its labels are zeros, and it has no bias.
            Linear::without_bias(&weights.at("map_augment"), config.augment_dim, noise)?;
        }
        let first = config.dense_layer();
        let [dense0, dense1] = match config.naming {
            Naming::Placed => ["map_layer0".to_string(), "map_layer1".into()],
            Naming::Listed => [first, first + 1].map(|place| format!("all_modules.{place}")),
        };
        if config.naming == Naming::Listed {
            // Noise levels of training, which the network looks up where it is told their numbers.
            config.num_scales.map(|count| weights.optional("sigmas", &[count])).transpose()?;
        }
        let names = Names::new(weights, config)?;
        let encode = Encode::new(&names, config)?;
        Ok(EdmUNet {
            dense: TimestepEmbedding::named(weights, [&dense0, &dense1], noise, emb)?,
            label: label.map(|linear| Label { linear, classes: config.label_dim, to_features }),
            decode: Decode::new(&names, config, encode.kept.clone())?,
            encode,
            filter: names.constant(),
        })
    }

    fn constants(&self) -> Vec<(String, Tensor)> {
        self.filter.iter().map(|filter| ("resample_filter".into(), filter.shallow_clone())).collect()
    }

    fn forward(&self, inputs: &Inputs) -> Result<Dual> {
        let emb = inputs.signal(Activation::Silu.forward(&self.embedding(inputs)?)?);
        let mut skips = Skips::default();
        let h = self.encode.forward(inputs.x, &emb, &mut skips)?;
        self.decode.forward(h, &emb, &mut skips)
    }
}

impl EdmUNet {
    /// [B, E], before the last activation.
    fn embedding(&self, inputs: &Inputs) -> Result<Dual> {
        let features = inputs.features;
        let label = match (&self.label, inputs.labels) {
            (None, None) => return self.dense.forward(features),
            (None, Some(_)) => return Err(Error::mismatch("the network has no classes", "Leave the labels out.")),
            (Some(_), None) => {
                return Err(Error::mismatch("the network was trained with class labels", "Give a label."));
            }
            (Some(label), Some(labels)) => (label, label.forward(labels, features.value.kind())?),
        };
        match label {
            (Label { to_features: true, .. }, added) => self.dense.forward(&features.add(&added)?),
            (Label { to_features: false, .. }, added) => self.dense.forward(features)?.add(&added),
        }
    }
}

impl Label {
    /// Labels `[B]` → what they add, [B, width]; the label behind the last class is that of none.
    fn forward(&self, labels: &Tensor, kind: Kind) -> Result<Dual> {
        let doing = "embedding the class labels";
        let labels = labels.f_to_kind(Kind::Int64).doing(doing)?;
        if !in_range(&labels, self.classes + 1)? {
            let problem = format!("the network has the classes 0 to {}", self.classes - 1);
            return Err(Error::mismatch(problem, "Choose labels in that range."));
        }
        let scale = if self.to_features { (self.classes as f64).sqrt() } else { 1.0 };
        let one_hot = labels.f_one_hot(self.classes + 1).and_then(|hot| hot.f_narrow(1, 0, self.classes));
        let one_hot = one_hot.and_then(|hot| hot.f_to_kind(kind)?.f_mul_scalar(scale)).doing(doing)?;
        self.linear.forward(&Dual::constant(one_hot))
    }
}

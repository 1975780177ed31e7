//! What Stable Diffusion XL adds to its time embedding: MLP([pooled, features(n₁), …, features(n_N)]), for pooled embeddings
//! [B, P] and numbers [B, N], such as sizes in pixels. A constant: it has no tangent.

use crate::dual::Dual;
use crate::error::{Doing, Error, Result};
use crate::network::native::Inputs;
use crate::network::{Additions, Numbers};
use crate::nn::{TimeProjection, TimestepEmbedding, Weights};
use tch::Tensor;

/// What it is built to.
#[derive(Debug, Clone, Copy)]
pub struct TextTimeConfig {
    /// Width of the pooled embeddings and all features together.
    pub width: i64,
    /// Sinusoids of each number.
    pub features: i64,
}

impl TextTimeConfig {
    /// What the network takes for it.
    pub fn additions(self) -> Additions {
        Additions {
            width: Some(self.width),
            features: self.features,
            numbers: Some(Numbers::TimeIds),
            ..Additions::default()
        }
    }
}

/// The features of the numbers, and the dense layers.
#[derive(Debug)]
pub(super) struct TextTime {
    features: TimeProjection,
    dense: TimestepEmbedding,
}

impl TextTime {
    /// Takes two dense layers to `embedding` channels, whose activation is SiLU whatever the network's.
    pub fn new(weights: &Weights, config: &TextTimeConfig, features: TimeProjection, embedding: i64) -> Result<Self> {
        Ok(TextTime { features, dense: TimestepEmbedding::new(weights, config.width, embedding)? })
    }

    /// The embedding [B, E] of pooled embeddings and numbers.
    pub fn forward(&self, inputs: &Inputs) -> Result<Dual> {
        let doing = "embedding sizes";
        let (Some(pooled), Some(numbers)) = (inputs.pooled, inputs.numbers) else {
            return Err(Error::mismatch("the network takes pooled embeddings and time ids", "Give both."));
        };
        let (rows, count) = numbers.size2().doing(doing)?;
        let flat = Dual::constant(numbers.f_flatten(0, 1).doing(doing)?);
        let features = self.features.forward(&flat, pooled.kind())?;
        let features = features.linear(|features| features.f_reshape([rows, count * features.size2()?.1]))?;
        let pooled = Dual::constant(pooled.shallow_clone());
        self.dense.forward(&Dual::cat(&[&pooled, &features], 1)?)
    }

    /// The frequencies of the sinusoids.
    pub fn constant(&self) -> Option<Tensor> {
        self.features.constant()
    }
}

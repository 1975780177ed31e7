//! The condition of all blocks: c = MLP(features(t)) + MLP(pooled) [+ MLP(features(1000 g))], with the guidance scale g that a
//! distilled network is told (Meng et al., 2023, arXiv 2210.03142).

use crate::dual::Dual;
use crate::error::{Doing, Error, Result};
use crate::network::native::Inputs;
use crate::nn::{TimeProjection, TimestepEmbedding, Weights};
use tch::Tensor;

/// Sinusoids of t and of the guidance scale, cosines first.
pub(super) const FEATURES: i64 = 256;

/// How finely the sinusoids see the guidance scale.
const GUIDANCE_FACTOR: f64 = 1000.0;

/// The features of t and of other numbers alike.
pub(super) fn features(weights: &Weights) -> Result<TimeProjection> {
    TimeProjection::sinusoid(FEATURES, true, 0.0, weights.device())
}

/// The dense layers.
#[derive(Debug)]
pub(super) struct ConditionEmbedding {
    time: TimestepEmbedding,
    pooled: TimestepEmbedding,
    guidance: Option<(TimeProjection, TimestepEmbedding)>,
}

impl ConditionEmbedding {
    /// Takes `time_text_embed`.
    pub fn new(weights: &Weights, width: i64, pooled_width: i64, guidance: bool) -> Result<Self> {
        let weights = weights.at("time_text_embed");
        let dense = |name: &str, inputs| TimestepEmbedding::new(&weights.at(name), inputs, width);
        let guidance = match guidance {
            true => Some((features(&weights)?, dense("guidance_embedder", FEATURES)?)),
            false => None,
        };
        Ok(ConditionEmbedding {
            time: dense("timestep_embedder", FEATURES)?,
            pooled: dense("text_embedder", pooled_width)?,
            guidance,
        })
    }

    /// c [B, C], before its activation.
    pub fn forward(&self, inputs: &Inputs) -> Result<Dual> {
        let Some(pooled) = inputs.pooled else {
            return Err(Error::mismatch("the network takes pooled embeddings", "Give them."));
        };
        let mut condition = self.time.forward(inputs.features)?;
        if let (Some((features, dense)), Some(numbers)) = (&self.guidance, inputs.numbers) {
            let scale = numbers.f_select(1, 0).and_then(|scale| scale.f_mul_scalar(GUIDANCE_FACTOR));
            let scale = Dual::constant(scale.doing("embedding the guidance scale")?);
            condition = condition.add(&dense.forward(&features.forward(&scale, pooled.kind())?)?)?;
        }
        condition.add(&self.pooled.forward(&Dual::constant(pooled.shallow_clone()))?)
    }

    /// The frequencies of the guidance scale's sinusoids.
    pub fn constant(&self) -> Option<Tensor> {
        self.guidance.as_ref().and_then(|(features, _)| features.constant())
    }
}

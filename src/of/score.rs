//! s = ∇ₓ ln q_t(x) = −ε/σ.

use super::{Member, Of, no_noise};
use crate::error::Result;
use crate::prediction::{Affine, Prediction};
use crate::schedule::Level;

pub(super) struct Score;

impl Member for Score {
    fn factors(&self, prediction: Prediction, level: &Level) -> Result<Affine> {
        if level.sigma == 0.0 {
            return Err(no_noise(Of::Score));
        }
        let Affine { output, x } = prediction.epsilon(level)?;
        Ok(Affine { output: -output / level.sigma, x: -x / level.sigma })
    }

    /// ṡ = −(ε̇ + s σ̇)/σ, in each factor.
    fn rates(&self, prediction: Prediction, level: &Level) -> Result<Affine> {
        let (value, rate) = (self.factors(prediction, level)?, prediction.epsilon_rate(level)?);
        let of = |value: f64, rate: f64| -(rate + value * level.d_sigma) / level.sigma;
        Ok(Affine { output: of(value.output, rate.output), x: of(value.x, rate.x) })
    }
}

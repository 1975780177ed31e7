//! r = ε/σ − x: −∇ₓ ln q_t(x) less that of N(0, I). E‖r‖² is the relative Fisher information, 0 where all signal is gone.

use super::{Member, Of, no_noise};
use crate::error::Result;
use crate::prediction::{Affine, Prediction};
use crate::schedule::Level;

pub(super) struct Excess;

impl Member for Excess {
    fn factors(&self, prediction: Prediction, level: &Level) -> Result<Affine> {
        if level.sigma == 0.0 {
            return Err(no_noise(Of::Excess));
        }
        let Affine { output, x } = prediction.epsilon(level)?;
        Ok(Affine { output: output / level.sigma, x: x / level.sigma - 1.0 })
    }

    /// (ε/σ)˙ = (ε̇ − (ε/σ) σ̇)/σ, in each factor; −x stands still.
    fn rates(&self, prediction: Prediction, level: &Level) -> Result<Affine> {
        let (value, rate) = (self.factors(prediction, level)?, prediction.epsilon_rate(level)?);
        let of = |value: f64, rate: f64| (rate - value * level.d_sigma) / level.sigma;
        Ok(Affine { output: of(value.output, rate.output), x: of(value.x + 1.0, rate.x) })
    }
}

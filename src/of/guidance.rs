//! δ = ε(x, t, c) − ε(x, t, ∅) = ∂/∂w of the guided prediction (1 + w) ε(x, t, c) − w ε(x, t, ∅) (arXiv 2207.12598), which is
//! linear in w: one curve says for every w what guidance adds. x is that of the condition c.

use super::Member;
use crate::denoiser::Denoiser;
use crate::dual::Dual;
use crate::error::Result;
use crate::prediction::{Affine, Prediction};
use crate::schedule::Level;
use crate::state::State;
use crate::time::Timestep;

pub(super) struct Guidance;

impl Member for Guidance {
    /// What x adds to ε is the same under both conditions.
    fn factors(&self, prediction: Prediction, level: &Level) -> Result<Affine> {
        prediction.epsilon(level).map(|factor| Affine { x: 0.0, ..factor })
    }

    fn rates(&self, prediction: Prediction, level: &Level) -> Result<Affine> {
        prediction.epsilon_rate(level).map(|rate| Affine { x: 0.0, ..rate })
    }

    fn answer(&self, denoiser: &dyn Denoiser, state: &State, t: &[Timestep], with_rate: bool) -> Result<Dual> {
        let (with, without) = denoiser.answers(state, t, with_rate)?;
        with.add(&without.linear(|part| part.f_neg())?)
    }
}

/// (1 + w) f(x, t, c) − w f(x, t, ∅).
pub(super) fn combined(scale: f64, with: &Dual, without: &Dual) -> Result<Dual> {
    with.linear(|part| part.f_mul_scalar(1.0 + scale))?.add(&without.linear(|part| part.f_mul_scalar(-scale))?)
}

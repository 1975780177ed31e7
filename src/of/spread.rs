//! Δ = ε(x, t, η) − ε(x, t, η′) with two independent draws of the random inputs: what one evaluation leaves to chance. Both are
//! held while t moves; a draw made anew at t′ would add about E‖Δ‖/|t′ − t| to K.

use super::Member;
use crate::denoiser::Denoiser;
use crate::dual::Dual;
use crate::error::Result;
use crate::prediction::{Affine, Prediction};
use crate::schedule::Level;
use crate::state::State;
use crate::time::Timestep;

pub(super) struct Spread;

impl Member for Spread {
    /// What x adds to ε is the same for both draws.
    fn factors(&self, prediction: Prediction, level: &Level) -> Result<Affine> {
        prediction.epsilon(level).map(|factor| Affine { x: 0.0, ..factor })
    }

    fn rates(&self, prediction: Prediction, level: &Level) -> Result<Affine> {
        prediction.epsilon_rate(level).map(|rate| Affine { x: 0.0, ..rate })
    }

    fn answer(&self, denoiser: &dyn Denoiser, state: &State, t: &[Timestep], with_rate: bool) -> Result<Dual> {
        let (one, other) = denoiser.answers_of_draws(state, t, with_rate)?;
        one.add(&other.linear(|part| part.f_neg())?)
    }
}

//! DDIM (Song et al., arXiv 2010.02502, eq. 12 and 16): x_next = α_next x̂₀ + √(σ_next² − η² β̃) ε̂ + η √β̃ z, with
//! β̃ the variance of q(x_next | x, x₀).
//!
//! Where x̂₀ is clamped, ε̂ is computed from the clamped one, as improved DDPM's code does it; diffusers does so with
//! `use_clipped_model_output=True`. With `epsilon=own` ε̂ stays the network's own, as by default in diffusers.
//!
//! With η = 0 it is deterministic given x_T, of first order, and the same as DPM-Solver-1; η = 1 is ancestral.

use super::batch::{Batch, combine};
use super::{Member, Parameters, Sampler, Step};
use crate::error::{Error, Result};
use crate::schedule::NoiseSchedule;
use crate::time::Timestep;
use tch::Tensor;

pub(super) const MEMBER: Member = Member {
    name: "ddim",
    parameters: &[("eta", "0"), ("epsilon", "clamped")],
    about: "x_next = α x̂₀ + σ ε̂; eta=1 adds all of DDPM's noise (arXiv 2010.02502); epsilon=own leaves ε̂ where x̂₀ is clamped",
    build,
};

#[derive(Debug)]
struct Ddim {
    eta: f64,
    /// Whether ε̂ stays the network's where x̂₀ is clamped.
    keeps_epsilon: bool,
}

fn build(parameters: &Parameters) -> Result<Box<dyn Sampler>> {
    let eta = parameters.number("eta")?;
    if !(0.0..=1.0).contains(&eta) {
        return Err(Error::argument("the sampler's eta", eta, "it lies between 0 and 1", "Such as ddim:eta=0.5."));
    }
    let keeps_epsilon = match parameters.text("epsilon") {
        "clamped" => false,
        "own" => true,
        other => {
            let allowed = "it is clamped (from the clamped x̂₀) or own (as the network gave it)";
            return Err(Error::argument("the sampler's epsilon", other, allowed, "Such as ddim:epsilon=own."));
        }
    };
    Ok(Box::new(Ddim { eta, keeps_epsilon }))
}

/// Variances between two times t > s of a schedule.
pub(super) struct Transition {
    /// Of q(x_t | x_s): σ_t² − (α_t/α_s)² σ_s².
    pub forward: f64,
    /// β̃, of q(x_s | x_t, x₀): (σ_s²/σ_t²) times that.
    pub posterior: f64,
}

impl Transition {
    /// From `t_next` to the noisier `t_cur`.
    pub fn new(schedule: &dyn NoiseSchedule, t_cur: Timestep, t_next: Timestep) -> Self {
        let ratio = schedule.alpha(t_cur) / schedule.alpha(t_next);
        let (variance, variance_next) = (schedule.sigma(t_cur).powi(2), schedule.sigma(t_next).powi(2));
        let forward = variance - ratio * ratio * variance_next;
        Transition { forward, posterior: variance_next / variance * forward }
    }
}

impl Sampler for Ddim {
    fn name(&self) -> String {
        let eta = (self.eta != 0.0).then(|| format!("eta={}", self.eta));
        let parameters: Vec<String> = eta.into_iter().chain(self.keeps_epsilon.then(|| "epsilon=own".into())).collect();
        if parameters.is_empty() { "ddim".into() } else { format!("ddim:{}", parameters.join(",")) }
    }

    fn order(&self) -> Option<u32> {
        (self.eta == 0.0).then_some(1)
    }

    fn step(&self, batch: &mut Batch, x: &Tensor, step: &Step) -> Result<Tensor> {
        let schedule = batch.schedule();
        let Step { t_cur, t_next, .. } = *step;
        let (alpha_next, sigma_next) = (schedule.alpha(t_next), schedule.sigma(t_next));
        let predicted = if self.keeps_epsilon { batch.predict_own(x, t_cur)? } else { batch.predict(x, t_cur)? };
        if self.eta == 0.0 {
            return combine(&[(alpha_next, &predicted.x0), (sigma_next, &predicted.epsilon)]);
        }
        // x_next = α_next x̂₀ + √(σ_next² − η² β̃) ε̂ + η √β̃ z
        let added = self.eta.powi(2) * Transition::new(schedule, t_cur, t_next).posterior;
        let kept = (sigma_next * sigma_next - added).max(0.0).sqrt();
        let noise = batch.noise(t_cur)?;
        combine(&[(alpha_next, &predicted.x0), (kept, &predicted.epsilon), (added.sqrt(), &noise)])
    }
}

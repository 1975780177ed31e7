//! TrigFlow (Lu & Song, arXiv 2410.11081): α = cos θ, σ = sin θ, θ = (π/2)·(t + 1)/T. dσ/dt stays finite at 0.

use super::{Built, Member, NoiseSchedule, Parameters};
use crate::error::Result;
use crate::schedule::Timestep;
use std::f64::consts::FRAC_PI_2;

pub(super) const MEMBER: Member =
    Member { name: "trigflow", parameters: &[], about: "α = cos θ, σ = sin θ, θ = (π/2)(t+1)/T", build };

fn build(parameters: &Parameters) -> Result<Built> {
    Ok(Built::Continuous(Box::new(TrigFlow { timesteps: parameters.timesteps()? })))
}

#[derive(Debug)]
struct TrigFlow {
    timesteps: usize,
}

impl TrigFlow {
    /// (sin θ, cos θ); the cosine is exactly 0 at the end.
    fn sin_cos(&self, t: Timestep) -> (f64, f64) {
        let u = (t + 1.0) / self.timesteps as f64;
        if u >= 1.0 { (1.0, 0.0) } else { (u * FRAC_PI_2).sin_cos() }
    }

    /// dθ/dt.
    fn angular_rate(&self) -> f64 {
        FRAC_PI_2 / self.timesteps as f64
    }
}

impl NoiseSchedule for TrigFlow {
    fn timesteps(&self) -> usize {
        self.timesteps
    }

    fn alpha(&self, t: Timestep) -> f64 {
        self.sin_cos(t).1
    }

    fn sigma(&self, t: Timestep) -> f64 {
        self.sin_cos(t).0
    }

    fn d_alpha_dt(&self, t: Timestep) -> f64 {
        -self.sin_cos(t).0 * self.angular_rate()
    }

    fn d_sigma_dt(&self, t: Timestep) -> f64 {
        self.sin_cos(t).1 * self.angular_rate()
    }
}

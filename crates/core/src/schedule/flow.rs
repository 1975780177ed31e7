//! Flow matching with straight paths (Lipman et al., arXiv 2210.02747; Liu et al., arXiv 2209.03003):
//! α = 1 − u, σ = u, u = (t + 1)/T. Not variance-preserving.

use super::{Built, Member, NoiseSchedule, Parameters};
use crate::error::Result;
use crate::schedule::Timestep;

pub(super) const MEMBER: Member =
    Member { name: "flow", parameters: &[], about: "α = 1 − u, σ = u, u = (t+1)/T", build };

fn build(parameters: &Parameters) -> Result<Built> {
    Ok(Built::Continuous(Box::new(Flow { timesteps: parameters.timesteps()? })))
}

#[derive(Debug)]
struct Flow {
    timesteps: usize,
}

impl NoiseSchedule for Flow {
    fn timesteps(&self) -> usize {
        self.timesteps
    }

    fn alpha(&self, t: Timestep) -> f64 {
        1.0 - self.sigma(t)
    }

    fn sigma(&self, t: Timestep) -> f64 {
        (t + 1.0) / self.timesteps as f64
    }

    fn d_alpha_dt(&self, _t: Timestep) -> f64 {
        -1.0 / self.timesteps as f64
    }

    fn d_sigma_dt(&self, _t: Timestep) -> f64 {
        1.0 / self.timesteps as f64
    }
}

//! Flow matching with straight paths (Lipman et al., arXiv 2210.02747; Liu et al., arXiv 2209.03003):
//! α = 1 − σ, σ = s u/(1 + (s − 1) u), u = (t + 1)/T. Not variance-preserving.
//!
//! s = 1 gives σ = u. Stable Diffusion 3 shifts its steps towards noise with s = 3, since the same σ hides less of a larger
//! image (Esser et al., 2024, arXiv 2403.03206, eq. 23).

use super::{Built, Member, NoiseSchedule, Parameters};
use crate::error::Result;
use crate::schedule::Timestep;

pub(super) const MEMBER: Member = Member {
    name: "flow",
    parameters: &[("shift", "1")],
    about: "α = 1 − σ, σ = s u/(1 + (s−1) u), s = shift, u = (t+1)/T",
    build,
};

fn build(parameters: &Parameters) -> Result<Built> {
    Ok(Built::Continuous(Box::new(Flow { timesteps: parameters.timesteps()?, shift: parameters.positive("shift")? })))
}

#[derive(Debug)]
struct Flow {
    timesteps: usize,
    shift: f64,
}

impl Flow {
    /// u, and what σ is divided by: 1 + (s − 1) u.
    fn parts(&self, t: Timestep) -> (f64, f64) {
        let u = (t + 1.0) / self.timesteps as f64;
        (u, 1.0 + (self.shift - 1.0) * u)
    }
}

impl NoiseSchedule for Flow {
    fn timesteps(&self) -> usize {
        self.timesteps
    }

    fn alpha(&self, t: Timestep) -> f64 {
        1.0 - self.sigma(t)
    }

    fn sigma(&self, t: Timestep) -> f64 {
        let (u, divisor) = self.parts(t);
        self.shift * u / divisor
    }

    fn d_alpha_dt(&self, t: Timestep) -> f64 {
        -self.d_sigma_dt(t)
    }

    /// dσ/du = s/(1 + (s − 1) u)².
    fn d_sigma_dt(&self, t: Timestep) -> f64 {
        let (_, divisor) = self.parts(t);
        self.shift / (divisor * divisor) / self.timesteps as f64
    }
}

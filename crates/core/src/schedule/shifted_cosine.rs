//! Cosine shifted in log-SNR (Hoogeboom et al., simple diffusion, arXiv 2301.11093, eq. 3):
//! λ(u) = −2 ln tan(πu/2) + 2 ln(shift), u = (t + 1)/T; `shift` is the reference resolution over the image's.
//!
//! With θ = πu/2 and D = shift²·cos²θ + sin²θ: α = shift·cosθ/√D, σ = sinθ/√D,
//! dα/dθ = −shift·sinθ/D^{3/2}, dσ/dθ = shift²·cosθ/D^{3/2}.

use super::{Built, Member, NoiseSchedule, Parameters};
use crate::error::Result;
use crate::schedule::Timestep;
use std::f64::consts::FRAC_PI_2;

pub(super) const MEMBER: Member = Member {
    name: "shifted-cosine",
    parameters: &[("shift", "0.5")],
    about: "cosine shifted in log-SNR by 2·ln(shift) (simple diffusion)",
    build,
};

fn build(parameters: &Parameters) -> Result<Built> {
    let shift = parameters.positive("shift")?;
    Ok(Built::Continuous(Box::new(ShiftedCosine { timesteps: parameters.timesteps()?, shift })))
}

#[derive(Debug)]
struct ShiftedCosine {
    timesteps: usize,
    shift: f64,
}

impl ShiftedCosine {
    /// (cosθ, sinθ, D); the cosine is exactly 0 at the end.
    fn angles(&self, t: Timestep) -> (f64, f64, f64) {
        let u = (t + 1.0) / self.timesteps as f64;
        let (sin, cos) = if u >= 1.0 { (1.0, 0.0) } else { (u * FRAC_PI_2).sin_cos() };
        (cos, sin, (self.shift * cos).powi(2) + sin * sin)
    }

    /// dθ/dt.
    fn angular_rate(&self) -> f64 {
        FRAC_PI_2 / self.timesteps as f64
    }
}

impl NoiseSchedule for ShiftedCosine {
    fn timesteps(&self) -> usize {
        self.timesteps
    }

    fn alpha(&self, t: Timestep) -> f64 {
        let (cos, _, d) = self.angles(t);
        self.shift * cos / d.sqrt()
    }

    fn sigma(&self, t: Timestep) -> f64 {
        let (_, sin, d) = self.angles(t);
        sin / d.sqrt()
    }

    fn d_alpha_dt(&self, t: Timestep) -> f64 {
        let (_, sin, d) = self.angles(t);
        -self.shift * sin / d.powf(1.5) * self.angular_rate()
    }

    fn d_sigma_dt(&self, t: Timestep) -> f64 {
        let (cos, _, d) = self.angles(t);
        self.shift.powi(2) * cos / d.powf(1.5) * self.angular_rate()
    }
}

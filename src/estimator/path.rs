//! ‖d ε(x(t), t)/dt‖ / |da/dt| along the sampling path: what an ODE solver feels.
//!
//! x(t) is the probability-flow ODE through x, dx/dt = α̇ x̂₀ + σ̇ ε with x̂₀ = (x − σ ε)/α, hence
//! dε/dt = ∂ε/∂x·dx/dt + ∂ε/∂t, one tangent for both.

use super::{Estimator, Norm, Norms};
use crate::denoiser::Denoiser;
use crate::error::{Doing, Result};
use crate::time::{Axis, Timestep};
use tch::Tensor;

/// The total derivative of ε along the probability-flow ODE.
#[derive(Debug, Clone, Copy)]
pub struct Path {
    /// Axis of the denominator.
    pub axis: Axis,
    /// Norm of the numerator.
    pub norm: Norm,
}

impl Estimator for Path {
    fn quantity(&self) -> &'static str {
        "path"
    }

    fn name(&self) -> &'static str {
        "monte-carlo exact-tangent"
    }

    fn axis(&self) -> Axis {
        self.axis
    }

    fn norm(&self) -> Norm {
        self.norm
    }

    fn t_next(&self, _t: Timestep) -> Option<Timestep> {
        None
    }

    fn norms(&self, denoiser: &dyn Denoiser, x: &Tensor, t: Timestep) -> Result<Norms> {
        let doing = "following the sampling path";
        let times = vec![t; x.size()[0] as usize];
        let level = denoiser.schedule().level(t);
        let epsilon = denoiser.epsilon(x, &times)?;
        // dx/dt = (α̇/α) x + (σ̇ − σ α̇/α) ε
        let drift = level.d_alpha / level.alpha;
        let spread = epsilon.f_mul_scalar(level.d_sigma - level.sigma * drift).doing(doing)?;
        let velocity = x.f_mul_scalar(drift).and_then(|v| v.f_add(&spread)).doing(doing)?;
        let rate = denoiser.epsilon_along(x, &velocity, true, &times)?;
        let speed = self.axis.rate(denoiser.schedule(), t).abs();
        let values = self.norm.of(&rate)?.f_div_scalar(speed).doing("dividing by the axis' rate")?;
        Ok(Norms { values, evaluations: 2, unconverged: None })
    }
}

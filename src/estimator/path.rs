//! ‖d ε(x(t), t)/dt‖ / |da/dt| along the sampling path: what an ODE solver feels.
//!
//! x(t) is the probability-flow ODE through x, dx/dt = α̇ x̂₀ + σ̇ ε with x̂₀ = (x − σ ε)/α, hence
//! dε/dt = ∂ε/∂x·dx/dt + ∂ε/∂t, one tangent for both.

use super::{Estimator, Method, Norm, Norms, Quantity, block_norms, denoiser, divided, speeds};
use crate::device::scale_rows;
use crate::error::{Doing, Result};
use crate::response::Response;
use crate::state::State;
use crate::time::{Axis, Timestep};

/// The total derivative of ε along the probability-flow ODE.
#[derive(Debug, Clone, Copy)]
pub struct Path {
    /// Axis of the denominator.
    pub axis: Axis,
    /// Norm of the numerator.
    pub norm: Norm,
}

impl Estimator for Path {
    fn quantity(&self) -> Quantity {
        Quantity::Path
    }

    fn method(&self) -> Method {
        Method::ExactTangent
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

    fn undefined_at(&self, response: &dyn Response, t: Timestep) -> bool {
        response.timestep_map().jumps_at(t)
    }

    fn norms(&self, response: &dyn Response, state: &State, t: &[Timestep]) -> Result<Norms> {
        let doing = "following the sampling path";
        let denoiser = denoiser(response, "the derivative along the sampling path")?;
        let schedule = denoiser.schedule();
        let epsilon = denoiser.epsilon(state, t)?;
        // dx/dt = (α̇/α) x + (σ̇ − σ α̇/α) ε
        let drift = |t: Timestep| schedule.d_alpha_dt(t) / schedule.alpha(t);
        let drifts: Vec<f64> = t.iter().map(|&t| drift(t)).collect();
        let spreads: Vec<f64> = t.iter().map(|&t| schedule.d_sigma_dt(t) - schedule.sigma(t) * drift(t)).collect();
        let velocity = scale_rows(&state.x, &drifts)?.f_add(&scale_rows(&epsilon, &spreads)?).doing(doing)?;
        let norms = block_norms(self.norm, &denoiser.along(state, &velocity, true, t)?, &response.blocks())?;
        let values = divided(&norms, &speeds(response.process(), self.axis, t)?)?;
        Ok(Norms { values, evaluations: 2 * t.len() as u64, unconverged: None })
    }
}

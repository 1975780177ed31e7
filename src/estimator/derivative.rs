//! D(t) = ‖∂ε(x, t)/∂t‖ / |da/dt|, exact: no step size.

use super::{Estimator, Method, Norm, Norms, Quantity, divided, row_norms};
use crate::denoiser::Denoiser;
use crate::error::Result;
use crate::time::{Axis, Timestep};
use tch::Tensor;

/// The exact derivative in t at fixed x.
#[derive(Debug, Clone, Copy)]
pub struct Derivative {
    /// Axis of the denominator.
    pub axis: Axis,
    /// Norm of the numerator.
    pub norm: Norm,
}

impl Estimator for Derivative {
    fn quantity(&self) -> Quantity {
        Quantity::Derivative
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

    fn undefined_at(&self, denoiser: &dyn Denoiser, t: Timestep) -> bool {
        denoiser.timestep_map().jumps_at(t)
    }

    fn norms(&self, denoiser: &dyn Denoiser, x: &Tensor, t: &[Timestep]) -> Result<Norms> {
        let rate = denoiser.epsilon_rate(x, t)?;
        let speeds: Vec<f64> = t.iter().map(|&t| self.axis.rate(denoiser.schedule(), t).abs()).collect();
        Ok(Norms {
            values: divided(&row_norms(self.norm, &rate)?, &speeds)?,
            evaluations: t.len() as u64,
            unconverged: None,
        })
    }
}

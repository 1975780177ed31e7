//! D(t) = ‖∂ε(x, t)/∂t‖ / |da/dt|, exact: no step size.

use super::{Estimator, Norm, Norms};
use crate::denoiser::Denoiser;
use crate::error::{Doing, Result};
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
    fn quantity(&self) -> &'static str {
        "derivative"
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
        let rate = denoiser.epsilon_rate(x, &vec![t; x.size()[0] as usize])?;
        let speed = self.axis.rate(denoiser.schedule(), t).abs();
        let values = self.norm.of(&rate)?.f_div_scalar(speed).doing("dividing by the axis' rate")?;
        Ok(Norms { values, evaluations: 1, unconverged: None })
    }
}

//! K(t, t′) = ‖ε(x, f(t)) − ε(x, f(t′))‖ / |a(t) − a(t′)|, the same x at both times (arXiv 2306.11251, eq. 7 in
//! substance), with a(t) the chosen axis.

use super::{Estimator, Norm, Norms};
use crate::denoiser::Denoiser;
use crate::error::{Doing, Result};
use crate::time::{Axis, Timestep};
use tch::Tensor;

/// The secant over a fixed distance in steps.
#[derive(Debug, Clone, Copy)]
pub struct Secant {
    /// t′ − t in steps.
    pub dt: f64,
    /// Axis of the denominator.
    pub axis: Axis,
    /// Norm of the numerator.
    pub norm: Norm,
}

impl Estimator for Secant {
    fn quantity(&self) -> &'static str {
        "secant"
    }

    fn name(&self) -> &'static str {
        "monte-carlo"
    }

    fn axis(&self) -> Axis {
        self.axis
    }

    fn norm(&self) -> Norm {
        self.norm
    }

    fn t_next(&self, t: Timestep) -> Option<Timestep> {
        Some(t + self.dt)
    }

    fn norms(&self, denoiser: &dyn Denoiser, x: &Tensor, t: Timestep) -> Result<Norms> {
        let t_next = t + self.dt;
        let (now, next, evaluations) = denoiser.epsilon_pair(x, t, t_next)?;
        let schedule = denoiser.schedule();
        let distance = (self.axis.coordinate(schedule, t_next) - self.axis.coordinate(schedule, t)).abs();
        let change = self.norm.of(&now.f_sub(&next).doing("subtracting predictions")?)?;
        let values = change.f_div_scalar(distance).doing("dividing by the distance")?;
        Ok(Norms { values, evaluations, unconverged: None })
    }
}

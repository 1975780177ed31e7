//! K(t, t′) = ‖ε(x, f(t)) − ε(x, f(t′))‖ / |a(t) − a(t′)|, the same x at both times (arXiv 2306.11251, eq. 7 in
//! substance), with a(t) the chosen axis.

use super::{Estimator, Method, Norm, Norms, Quantity, divided, row_norms};
use crate::denoiser::Denoiser;
use crate::error::Result;
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
    fn quantity(&self) -> Quantity {
        Quantity::Secant
    }

    fn method(&self) -> Method {
        Method::ControlVariates
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

    fn norms(&self, denoiser: &dyn Denoiser, x: &Tensor, t: &[Timestep]) -> Result<Norms> {
        let t_next: Vec<Timestep> = t.iter().map(|t| t + self.dt).collect();
        let (change, evaluations) = denoiser.epsilon_change(x, t, &t_next)?;
        let schedule = denoiser.schedule();
        let coordinate = |t: Timestep| self.axis.coordinate(schedule, t);
        let distances: Vec<f64> =
            t.iter().zip(&t_next).map(|(&t, &next)| (coordinate(next) - coordinate(t)).abs()).collect();
        Ok(Norms { values: divided(&row_norms(self.norm, &change)?, &distances)?, evaluations, unconverged: None })
    }
}

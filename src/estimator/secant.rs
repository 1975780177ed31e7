//! K(t, t′) = ‖ε(x, f(t)) − ε(x, f(t′))‖ / |a(t) − a(t′)|, the same x at both times (arXiv 2306.11251, eq. 7 in
//! substance), with a(t) the chosen axis.

use super::{Estimator, Method, Norm, Norms, Quantity, block_norms, coordinate, divided};
use crate::error::Result;
use crate::response::Response;
use crate::state::State;
use crate::time::{Axis, Timestep};

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

    fn norms(&self, response: &dyn Response, state: &State, t: &[Timestep]) -> Result<Norms> {
        let t_next: Vec<Timestep> = t.iter().map(|t| t + self.dt).collect();
        let (change, evaluations) = response.change(state, t, &t_next)?;
        let at = |t: Timestep| coordinate(response.process(), self.axis, t);
        let distances = t.iter().zip(&t_next).map(|(&t, &next)| Ok((at(next)? - at(t)?).abs()));
        let distances: Vec<f64> = distances.collect::<Result<_>>()?;
        let norms = block_norms(self.norm, &change, &response.blocks())?;
        Ok(Norms { values: divided(&norms, &distances)?, evaluations, unconverged: None })
    }
}

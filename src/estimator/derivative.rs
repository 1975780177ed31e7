//! D(t) = ‖∂ε(x, t)/∂t‖ / |da/dt|, exact: no step size.

use super::{Estimator, Method, Norm, Norms, Quantity, block_norms, divided, speeds};
use crate::error::Result;
use crate::response::Response;
use crate::state::State;
use crate::time::{Axis, Timestep};

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

    fn undefined_at(&self, response: &dyn Response, t: Timestep) -> bool {
        response.timestep_map().jumps_at(t)
    }

    fn norms(&self, response: &dyn Response, state: &State, t: &[Timestep]) -> Result<Norms> {
        let norms = block_norms(self.norm, &response.rate(state, t)?, &response.blocks())?;
        Ok(Norms {
            values: divided(&norms, &speeds(response.process(), self.axis, t)?)?,
            evaluations: t.len() as u64,
            unconverged: None,
        })
    }
}

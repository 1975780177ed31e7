//! S(t) = ‖f(x, t)‖ itself, without a second time; its mean square follows from the same numbers.

use super::{Estimator, Method, Norm, Norms, Quantity, block_norms};
use crate::error::Result;
use crate::response::Response;
use crate::state::State;
use crate::time::{Axis, Timestep};

/// The norm of the response.
#[derive(Debug, Clone, Copy)]
pub struct Size {
    /// The norm.
    pub norm: Norm,
}

impl Estimator for Size {
    fn quantity(&self) -> Quantity {
        Quantity::Size
    }

    fn method(&self) -> Method {
        Method::ControlVariates
    }

    fn axis(&self) -> Axis {
        Axis::Step
    }

    fn norm(&self) -> Norm {
        self.norm
    }

    fn t_next(&self, _t: Timestep) -> Option<Timestep> {
        None
    }

    fn norms(&self, response: &dyn Response, state: &State, t: &[Timestep]) -> Result<Norms> {
        let values = block_norms(self.norm, &response.value(state, t)?, &response.blocks())?;
        Ok(Norms { values, evaluations: t.len() as u64, unconverged: None })
    }
}

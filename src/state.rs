//! What a model is asked about: states x_t, and what each of them is conditional on.

use crate::error::{Doing, Result};
use crate::network::Condition;
use tch::Tensor;

/// A batch of states with their conditions, drawn together: row i of the condition belongs to row i of x.
#[derive(Debug)]
pub struct State {
    /// x_t, [B, …].
    pub x: Tensor,
    /// What the network gets besides x and t, for the same rows.
    pub condition: Condition,
}

impl State {
    /// States of a model without conditions.
    pub fn unconditional(x: Tensor) -> Self {
        State { x, condition: Condition::default() }
    }

    /// Another x under the same conditions.
    pub fn with_x(&self, x: Tensor) -> Self {
        State { x, condition: self.condition.shallow_clone() }
    }

    /// The rows of `index` `[N]`, an int64 tensor on the device of x.
    pub fn select(&self, index: &Tensor) -> Result<Self> {
        let pick = |tensor: &Tensor| tensor.f_index_select(0, index).doing("choosing rows");
        Ok(State { x: pick(&self.x)?, condition: self.condition.try_map(pick)? })
    }
}

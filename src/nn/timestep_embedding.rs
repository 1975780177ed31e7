//! The dense layers behind timestep features: y = Linear(a(Linear(x))), x [B, in] → [B, out].

use super::{Activation, Linear, Weights};
use crate::dual::Dual;
use crate::error::Result;

/// Two linear layers with an activation between, SiLU where nothing else is said.
#[derive(Debug)]
pub struct TimestepEmbedding {
    linear_1: Linear,
    linear_2: Linear,
    activation: Activation,
}

impl TimestepEmbedding {
    /// Takes `linear_1` [outputs, inputs] and `linear_2` [outputs, outputs].
    pub fn new(weights: &Weights, inputs: i64, outputs: i64) -> Result<Self> {
        TimestepEmbedding::named(weights, ["linear_1", "linear_2"], inputs, outputs)
    }

    /// The same layers under other names.
    pub fn named(weights: &Weights, [first, second]: [&str; 2], inputs: i64, outputs: i64) -> Result<Self> {
        let linear_1 = Linear::new(&weights.at(first), inputs, outputs)?;
        let linear_2 = Linear::new(&weights.at(second), outputs, outputs)?;
        Ok(TimestepEmbedding { linear_1, linear_2, activation: Activation::Silu })
    }

    /// The same layers with another activation.
    pub fn activated(self, activation: Activation) -> Self {
        TimestepEmbedding { activation, ..self }
    }

    /// x [B, in] → [B, out].
    pub fn forward(&self, x: &Dual) -> Result<Dual> {
        self.linear_2.forward(&self.activation.forward(&self.linear_1.forward(x)?)?)
    }
}

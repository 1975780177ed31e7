//! The dense layers behind timestep features: y = Linear(a(Linear(x))), x [B, in] → [B, out].

use super::{Activation, Linear, Weights};
use crate::dual::Dual;
use crate::error::Result;

/// Two linear layers with an activation between.
#[derive(Debug)]
pub struct TimestepEmbedding {
    linear_1: Linear,
    linear_2: Linear,
    activation: Activation,
}

impl TimestepEmbedding {
    /// Takes `linear_1` [outputs, inputs] and `linear_2` [outputs, outputs], with a SiLU between.
    pub fn new(weights: &Weights, inputs: i64, outputs: i64) -> Result<Self> {
        TimestepEmbedding::named(weights, ["linear_1", "linear_2"], Activation::Silu, [inputs, outputs])
    }

    /// The same under other names and with another activation; `widths` are inputs and outputs.
    pub fn named(
        weights: &Weights,
        [first, second]: [&str; 2],
        activation: Activation,
        [inputs, outputs]: [i64; 2],
    ) -> Result<Self> {
        let linear_1 = Linear::new(&weights.at(first), inputs, outputs)?;
        let linear_2 = Linear::new(&weights.at(second), outputs, outputs)?;
        Ok(TimestepEmbedding { linear_1, linear_2, activation })
    }

    /// x [B, in] → [B, out].
    pub fn forward(&self, x: &Dual) -> Result<Dual> {
        self.linear_2.forward(&self.activation.forward(&self.linear_1.forward(x)?)?)
    }
}

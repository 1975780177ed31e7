//! Linear layer: y = x Wᵀ + b, with x [.., in], W [out, in], b [out], y [.., out]. Tangent: ẏ = ẋ Wᵀ.

use super::{Init, Weights};
use crate::dual::Dual;
use crate::error::{Doing, Result};
use tch::Tensor;

/// A linear layer with bias.
#[derive(Debug)]
pub struct Linear {
    weight: Tensor,
    bias: Tensor,
}

impl Linear {
    /// Takes `weight` [outputs, inputs] and `bias` `[outputs]`.
    pub fn new(weights: &Weights, inputs: i64, outputs: i64) -> Result<Self> {
        let weight = weights.tensor("weight", &[outputs, inputs], Init::FanIn(inputs))?;
        Ok(Linear { weight, bias: weights.tensor("bias", &[outputs], Init::FanIn(inputs))? })
    }

    /// x [.., in] → [.., out].
    pub fn forward(&self, x: &Dual) -> Result<Dual> {
        let doing = "applying a linear layer";
        let value = x.value.f_linear(&self.weight, Some(&self.bias)).doing(doing)?;
        let tangent = match &x.tangent {
            Some(tangent) => Some(tangent.f_linear(&self.weight, None::<&Tensor>).doing(doing)?),
            None => None,
        };
        Ok(Dual { value, tangent })
    }
}

//! Linear layer: y = x Wᵀ + b, with x [.., in], W [out, in], b [out], y [.., out]. Tangent: ẏ = ẋ Wᵀ.

use super::{Init, Weights};
use crate::dual::Dual;
use crate::error::{Doing, Result};
use tch::Tensor;

/// A linear layer.
#[derive(Debug)]
pub struct Linear {
    weight: Tensor,
    bias: Option<Tensor>,
}

impl Linear {
    /// Takes `weight` [outputs, inputs] and `bias` `[outputs]`.
    pub fn new(weights: &Weights, inputs: i64, outputs: i64) -> Result<Self> {
        let bias = weights.tensor("bias", &[outputs], Init::FanIn(inputs))?;
        Ok(Linear { bias: Some(bias), ..Linear::without_bias(weights, inputs, outputs)? })
    }

    /// Takes `weight` [outputs, inputs] only.
    pub fn without_bias(weights: &Weights, inputs: i64, outputs: i64) -> Result<Self> {
        Ok(Linear { weight: weights.tensor("weight", &[outputs, inputs], Init::FanIn(inputs))?, bias: None })
    }

    /// x [.., in] → [.., out].
    pub fn forward(&self, x: &Dual) -> Result<Dual> {
        let doing = "applying a linear layer";
        let value = x.value.f_linear(&self.weight, self.bias.as_ref()).doing(doing)?;
        let tangent = match &x.tangent {
            Some(tangent) => Some(tangent.f_linear(&self.weight, None::<&Tensor>).doing(doing)?),
            None => None,
        };
        Ok(Dual { value, tangent })
    }
}

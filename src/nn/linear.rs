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
    /// Whether the weight has further axes of length 1.
    pointwise: bool,
}

impl Linear {
    /// Takes `weight` [outputs, inputs] and `bias` `[outputs]`.
    pub fn new(weights: &Weights, inputs: i64, outputs: i64) -> Result<Self> {
        let weight = weights.tensor("weight", &[outputs, inputs], Init::FanIn(inputs))?;
        Ok(Linear { weight, bias: weights.tensor("bias", &[outputs], Init::FanIn(inputs))?, pointwise: false })
    }

    /// The same from a 1-D convolution with kernels of length 1: takes `weight` [outputs, inputs, 1] and `bias`.
    pub fn pointwise(weights: &Weights, inputs: i64, outputs: i64) -> Result<Self> {
        let init = Init::FanIn(inputs);
        let weight = weights.tensor("weight", &[outputs, inputs, 1], init)?;
        Ok(Linear { weight, bias: weights.tensor("bias", &[outputs], init)?, pointwise: true })
    }

    /// x [.., in] → [.., out].
    pub fn forward(&self, x: &Dual) -> Result<Dual> {
        let doing = "applying a linear layer";
        // Here and not once for all: training replaces the data below the file's own shape.
        let squeezed = if self.pointwise { Some(self.weight.f_squeeze_dim(-1).doing(doing)?) } else { None };
        let weight = squeezed.as_ref().unwrap_or(&self.weight);
        let value = x.value.f_linear(weight, Some(&self.bias)).doing(doing)?;
        let tangent = match &x.tangent {
            Some(tangent) => Some(tangent.f_linear(weight, None::<&Tensor>).doing(doing)?),
            None => None,
        };
        Ok(Dual { value, tangent })
    }
}

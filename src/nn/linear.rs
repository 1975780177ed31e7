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
    layout: Layout,
}

/// How the weight lies in the file.
#[derive(Debug, Clone, Copy)]
enum Layout {
    /// [outputs, inputs].
    Matrix,
    /// Of a convolution with kernels of length 1, [outputs, inputs, 1] or [outputs, inputs, 1, 1].
    Pointwise,
    /// [inputs, outputs].
    Transposed,
}

impl Linear {
    /// Takes `weight` [outputs, inputs] and `bias` `[outputs]`.
    pub fn new(weights: &Weights, inputs: i64, outputs: i64) -> Result<Self> {
        let bias = weights.tensor("bias", &[outputs], Init::FanIn(inputs))?;
        Ok(Linear { bias: Some(bias), ..Linear::without_bias(weights, inputs, outputs)? })
    }

    /// Takes `weight` [outputs, inputs] only.
    pub fn without_bias(weights: &Weights, inputs: i64, outputs: i64) -> Result<Self> {
        let weight = weights.tensor("weight", &[outputs, inputs], Init::FanIn(inputs))?;
        Ok(Linear { weight, bias: None, layout: Layout::Matrix })
    }

    /// The same as a 1-D convolution with kernels of length 1: takes `weight` [outputs, inputs, 1] and `bias`; or as a 2-D
    /// one, where the file has that.
    pub fn pointwise(weights: &Weights, inputs: i64, outputs: i64) -> Result<Self> {
        if weights.axes("weight") == Some(4) {
            return Linear::pixelwise(weights, inputs, outputs);
        }
        let weight = weights.tensor("weight", &[outputs, inputs, 1], Init::FanIn(inputs))?;
        let bias = weights.tensor("bias", &[outputs], Init::FanIn(inputs))?;
        Ok(Linear { weight, bias: Some(bias), layout: Layout::Pointwise })
    }

    /// The same as a 2-D convolution with kernels of 1×1: takes `weight` [outputs, inputs, 1, 1] and `bias`.
    pub fn pixelwise(weights: &Weights, inputs: i64, outputs: i64) -> Result<Self> {
        let weight = weights.tensor("weight", &[outputs, inputs, 1, 1], Init::FanIn(inputs))?;
        let bias = weights.tensor("bias", &[outputs], Init::FanIn(inputs))?;
        Ok(Linear { weight, bias: Some(bias), layout: Layout::Pointwise })
    }

    /// score_sde's `NIN`: takes `W` [inputs, outputs] and `b`.
    pub fn nin(weights: &Weights, inputs: i64, outputs: i64) -> Result<Self> {
        let weight = weights.tensor("W", &[inputs, outputs], Init::FanIn(inputs))?;
        let bias = weights.tensor("b", &[outputs], Init::FanIn(inputs))?;
        Ok(Linear { weight, bias: Some(bias), layout: Layout::Transposed })
    }

    /// x [.., in] → [.., out].
    pub fn forward(&self, x: &Dual) -> Result<Dual> {
        let doing = "applying a linear layer";
        // A view in every pass, so that gradients flow into the parameter itself.
        let matrix = match self.layout {
            Layout::Matrix => None,
            Layout::Pointwise => Some(self.weight.f_flatten(1, -1).doing(doing)?),
            Layout::Transposed => Some(self.weight.f_transpose(0, 1).doing(doing)?),
        };
        let weight = matrix.as_ref().unwrap_or(&self.weight);
        let value = x.value.f_linear(weight, self.bias.as_ref()).doing(doing)?;
        let tangent = match &x.tangent {
            Some(tangent) => Some(tangent.f_linear(weight, None::<&Tensor>).doing(doing)?),
            None => None,
        };
        Ok(Dual { value, tangent })
    }
}

//! 2-D convolution: y = W ∗ x + b, with x [B, in, H, W], W [out, in, k, k], b [out]. Tangent: ẏ = W ∗ ẋ.

use super::{Init, Weights};
use crate::dual::Dual;
use crate::error::{Doing, Result};
use tch::Tensor;

/// A convolution with a square kernel.
#[derive(Debug)]
pub struct Conv2d {
    weight: Tensor,
    bias: Option<Tensor>,
    stride: i64,
    padding: i64,
}

impl Conv2d {
    /// Takes `weight` [outputs, inputs, kernel, kernel] and `bias` `[outputs]`; stride 1, padded to keep H and W.
    pub fn new(weights: &Weights, inputs: i64, outputs: i64, kernel: i64) -> Result<Self> {
        let bias = weights.tensor("bias", &[outputs], Init::FanIn(inputs * kernel * kernel))?;
        Ok(Conv2d { bias: Some(bias), ..Conv2d::without_bias(weights, inputs, outputs, kernel)? })
    }

    /// The same with `weight` only.
    pub fn without_bias(weights: &Weights, inputs: i64, outputs: i64, kernel: i64) -> Result<Self> {
        let init = Init::FanIn(inputs * kernel * kernel);
        let weight = weights.tensor("weight", &[outputs, inputs, kernel, kernel], init)?;
        Ok(Conv2d { weight, bias: None, stride: 1, padding: kernel / 2 })
    }

    /// The same convolution at another stride and zero padding.
    pub fn strided(self, stride: i64, padding: i64) -> Self {
        Conv2d { stride, padding, ..self }
    }

    /// x [B, in, H, W] → [B, out, H', W'].
    pub fn forward(&self, x: &Dual) -> Result<Dual> {
        let value = self.convolve(&x.value, self.bias.as_ref(), self.padding)?;
        let tangent = match &x.tangent {
            Some(tangent) => Some(self.convolve(tangent, None, self.padding)?),
            None => None,
        };
        Ok(Dual { value, tangent })
    }

    /// The same with another zero padding, and a linear map `then` of W ∗ x before the bias is added.
    pub fn forward_with(&self, x: &Dual, padding: i64, then: impl Fn(&Dual) -> Result<Dual>) -> Result<Dual> {
        let value = self.convolve(&x.value, None, padding)?;
        let tangent = x.tangent.as_ref().map(|tangent| self.convolve(tangent, None, padding)).transpose()?;
        let mapped = then(&Dual { value, tangent })?;
        let Some(bias) = &self.bias else { return Ok(mapped) };
        let bias = bias.f_reshape([1, -1, 1, 1]).doing("applying a convolution")?;
        mapped.add(&Dual::constant(bias))
    }

    fn convolve(&self, x: &Tensor, bias: Option<&Tensor>, padding: i64) -> Result<Tensor> {
        let (stride, padding) = ([self.stride; 2], [padding; 2]);
        x.f_conv2d(&self.weight, bias, stride, padding, [1, 1], 1).doing("applying a convolution")
    }
}

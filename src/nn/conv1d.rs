//! 1-D convolution: y = W ∗ x + b, with x [B, in, L], W [out, in, k], b [out]; or transposed, with W [in, out, k]. Tangent:
//! ẏ = W ∗ ẋ.

use super::{Init, Weights};
use crate::dual::Dual;
use crate::error::{Doing, Result};
use tch::{TchError, Tensor};

/// A convolution over sequences.
#[derive(Debug)]
pub struct Conv1d {
    weight: Tensor,
    bias: Tensor,
    stride: i64,
    padding: i64,
    transposed: bool,
}

impl Conv1d {
    /// Takes `weight` [outputs, inputs, kernel] and `bias` `[outputs]`; stride 1, padded by half a kernel.
    pub fn new(weights: &Weights, inputs: i64, outputs: i64, kernel: i64) -> Result<Self> {
        let init = Init::FanIn(inputs * kernel);
        Ok(Conv1d {
            weight: weights.tensor("weight", &[outputs, inputs, kernel], init)?,
            bias: weights.tensor("bias", &[outputs], init)?,
            stride: 1,
            padding: kernel / 2,
            transposed: false,
        })
    }

    /// Takes `weight` [channels, channels, 3]; L becomes ⌈L/2⌉.
    pub fn halving(weights: &Weights, channels: i64) -> Result<Self> {
        Ok(Conv1d { stride: 2, padding: 1, ..Conv1d::new(weights, channels, channels, 3)? })
    }

    /// Transposed; takes `weight` [channels, channels, 4]; L becomes 2L.
    pub fn doubling(weights: &Weights, channels: i64) -> Result<Self> {
        Ok(Conv1d { stride: 2, padding: 1, transposed: true, ..Conv1d::new(weights, channels, channels, 4)? })
    }

    /// x [B, in, L] → [B, out, L'].
    pub fn forward(&self, x: &Dual) -> Result<Dual> {
        let doing = "applying a convolution";
        let value = self.convolve(&x.value, Some(&self.bias)).doing(doing)?;
        let tangent = x.tangent.as_ref().map(|tangent| self.convolve(tangent, None)).transpose().doing(doing)?;
        Ok(Dual { value, tangent })
    }

    fn convolve(&self, x: &Tensor, bias: Option<&Tensor>) -> std::result::Result<Tensor, TchError> {
        let (stride, padding) = ([self.stride], [self.padding]);
        match self.transposed {
            false => x.f_conv1d(&self.weight, bias, stride, padding, [1], 1),
            true => x.f_conv_transpose1d(&self.weight, bias, stride, padding, [0], 1, [1]),
        }
    }
}

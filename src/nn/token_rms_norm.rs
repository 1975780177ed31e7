//! RMS normalisation (Zhang & Sennrich, 2019) over the last axis: y = g x r with r = 1/√(mean(x²) + ε), for x [.., C] and
//! g [C].
//!
//! Tangent: with n = x r, ẏ = g r (ẋ − n mean(n ẋ)). Both are computed in float32 at least and rounded before g, as
//! diffusers does.

use super::{Init, Weights};
use crate::dual::Dual;
use crate::error::{Doing, Result};
use tch::{Kind, TchError, Tensor};

/// RMS normalisation of tokens, or of the heads of queries and keys, with scale g.
#[derive(Debug)]
pub struct TokenRmsNorm {
    gain: Tensor,
    epsilon: f64,
}

impl TokenRmsNorm {
    /// Takes `weight` `[width]`.
    pub fn new(weights: &Weights, width: i64, epsilon: f64) -> Result<Self> {
        Ok(TokenRmsNorm { gain: weights.tensor("weight", &[width], Init::Ones)?, epsilon })
    }

    /// x [.., C] → the same shape.
    pub fn forward(&self, x: &Dual) -> Result<Dual> {
        self.normalised(x).doing("normalising tokens")
    }

    fn normalised(&self, x: &Dual) -> std::result::Result<Dual, TchError> {
        let kind = x.value.kind();
        let wide = if kind == Kind::Double { Kind::Double } else { Kind::Float };
        let mean = |x: &Tensor| x.f_mean_dim([-1i64].as_slice(), true, wide);
        let value = x.value.f_to_kind(wide)?;
        let r = mean(&value.f_square()?)?.f_add_scalar(self.epsilon)?.f_rsqrt()?;
        let n = value.f_mul(&r)?;
        let scaled = |x: &Tensor| x.f_to_kind(kind)?.f_mul(&self.gain);
        // ẏ = g r (ẋ − n mean(n ẋ))
        let change = |dx: &Tensor| {
            let dx = dx.f_to_kind(wide)?;
            scaled(&dx.f_sub(&n.f_mul(&mean(&n.f_mul(&dx)?)?)?)?.f_mul(&r)?)
        };
        let tangent = x.tangent.as_ref().map(change).transpose()?;
        Ok(Dual { value: scaled(&n)?, tangent })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Tolerance, assert_close};
    use std::path::Path;
    use tch::Device;

    fn layer(kind: Kind) -> TokenRmsNorm {
        let gain = Tensor::linspace(0.5, 2.0, 6, (kind, Device::Cpu));
        TokenRmsNorm::new(&Weights::new([("weight".to_string(), gain)].into(), Path::new("test")), 6, 1e-6).unwrap()
    }

    #[test]
    fn tokens_come_out_with_a_mean_square_of_one() {
        tch::manual_seed(0);
        let norm = layer(Kind::Double);
        let x = Tensor::randn([2, 5, 6], (Kind::Double, Device::Cpu)) * 7.0;
        let y = norm.forward(&Dual::constant(x)).unwrap().value / &norm.gain;
        let mean_square = y.square().mean_dim([-1i64].as_slice(), false, Kind::Double);
        let tolerance = Tolerance::absolute(1e-6, "ε against a mean square of a few at least");
        assert_close("mean square", &mean_square, &mean_square.ones_like(), tolerance);
    }

    #[test]
    fn tangent_is_the_derivative() {
        tch::manual_seed(0);
        let norm = layer(Kind::Double);
        let x = Tensor::randn([2, 5, 6], (Kind::Double, Device::Cpu));
        let dx = x.randn_like();
        let at = |h: f64| norm.forward(&Dual::constant(&x + h * &dx)).unwrap().value;
        let h = 1e-5;
        let differences = (at(h) - at(-h)) / (2.0 * h);
        let tangent = norm.forward(&Dual::new(x.shallow_clone(), dx.shallow_clone())).unwrap().tangent.unwrap();
        let reason = "central differences: h² times a third derivative of order 10, and rounding 1e-16/h";
        assert_close("tangent", &tangent, &differences, Tolerance::absolute(1e-8, reason));
    }

    #[test]
    fn half_precision_is_normalised_in_float32() {
        tch::manual_seed(0);
        let x = Tensor::randn([2, 5, 6], (Kind::Float, Device::Cpu)) * 300.0;
        // In float16 the squares would be infinite.
        let half = layer(Kind::Half).forward(&Dual::constant(x.to_kind(Kind::Half))).unwrap().value;
        let exact = layer(Kind::Float).forward(&Dual::constant(x)).unwrap().value;
        let tolerance = Tolerance::of_largest(3e-3, "float16 has 11 bits: 2⁻¹¹ per operation");
        assert_close("float16", &half.to_kind(Kind::Float), &exact, tolerance);
    }
}

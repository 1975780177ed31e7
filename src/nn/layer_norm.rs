//! Layer normalisation (Ba et al., 2016): y = γ (x − μ) r + β with r = 1/√(σ² + ε), for x [.., C] and γ, β [C].
//!
//! μ and σ² are taken over the last axis. The tangent follows from μ̇ = mean(ẋ) and ∂σ² = 2 cov(x, ẋ):
//!
//! ẏ = γ r (ẋ − mean(ẋ) − r² cov(x, ẋ) (x − μ)),  cov(x, ẋ) = mean((x − μ) (ẋ − mean(ẋ)))
//!
//! Both factors of the covariance are centred, though one would do, since in float32 μ is rounded.

use super::{Init, Weights};
use crate::dual::Dual;
use crate::error::{Doing, Result};
use tch::{TchError, Tensor};

/// Layer normalisation, with or without scale γ and shift β.
#[derive(Debug)]
pub struct LayerNorm {
    scale: Option<Tensor>,
    shift: Option<Tensor>,
    width: i64,
    epsilon: f64,
}

impl LayerNorm {
    /// Takes `weight` and `bias` `[width]`.
    pub fn new(weights: &Weights, width: i64, epsilon: f64) -> Result<Self> {
        let gamma = weights.tensor("weight", &[width], Init::Ones)?;
        let beta = weights.tensor("bias", &[width], Init::Zeros)?;
        Ok(LayerNorm { scale: Some(gamma), shift: Some(beta), width, epsilon })
    }

    /// Takes `weight` `[width]` only: β = 0.
    pub fn scaled(weights: &Weights, width: i64, epsilon: f64) -> Result<Self> {
        let gamma = weights.tensor("weight", &[width], Init::Ones)?;
        Ok(LayerNorm { scale: Some(gamma), ..LayerNorm::plain(width, epsilon) })
    }

    /// γ = 1 and β = 0, with no parameters.
    pub fn plain(width: i64, epsilon: f64) -> Self {
        LayerNorm { scale: None, shift: None, width, epsilon }
    }

    /// x [.., C] → the same shape.
    pub fn forward(&self, x: &Dual) -> Result<Dual> {
        let doing = "normalising tokens";
        let (gamma, beta) = (self.scale.as_ref(), self.shift.as_ref());
        let Some(tangent) = &x.tangent else {
            return x
                .value
                .f_layer_norm([self.width], gamma, beta, self.epsilon, true)
                .doing(doing)
                .map(Dual::constant);
        };
        let (value, mean, rstd) = x.value.f_native_layer_norm([self.width], gamma, beta, self.epsilon).doing(doing)?;
        Ok(Dual::new(value, self.tangent(&x.value, tangent, &mean, &rstd).doing(doing)?))
    }

    /// ẏ from x, ẋ [.., C] and the moments μ, r [.., 1] of the forward pass.
    fn tangent(&self, x: &Tensor, dx: &Tensor, mean: &Tensor, rstd: &Tensor) -> std::result::Result<Tensor, TchError> {
        let kind = x.kind();
        // libtorch keeps the moments of a half precision x in float32.
        let (mean, rstd) = (mean.f_to_kind(kind)?, rstd.f_to_kind(kind)?);
        let token_mean = |x: &Tensor| x.f_mean_dim([-1i64].as_slice(), true, kind);
        let x_centered = x.f_sub(&mean)?;
        let dx_centered = dx.f_sub(&token_mean(dx)?)?;
        let covariance = token_mean(&x_centered.f_mul(&dx_centered)?)?;
        // ẏ = γ r (ẋ − mean(ẋ) − r² cov(x, ẋ) (x − μ))
        let slope = rstd.f_square()?.f_mul(&covariance)?;
        let normalised = dx_centered.f_sub(&x_centered.f_mul(&slope)?)?.f_mul(&rstd)?;
        match &self.scale {
            Some(gamma) => normalised.f_mul(gamma),
            None => Ok(normalised),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Tolerance, assert_close};
    use std::path::Path;
    use tch::{Device, Kind};

    fn with_parameters(kind: Kind) -> LayerNorm {
        let gamma = Tensor::linspace(0.5, 2.0, 6, (kind, Device::Cpu));
        let tensors = [("weight".to_string(), gamma.shallow_clone()), ("bias".to_string(), gamma.sin())];
        LayerNorm::new(&Weights::new(tensors.into_iter().collect(), Path::new("test")), 6, 1e-5).unwrap()
    }

    #[test]
    fn tangents_are_derivatives() {
        tch::manual_seed(0);
        let x = Tensor::randn([2, 5, 6], (Kind::Double, Device::Cpu));
        let dx = x.randn_like();
        let scaled = LayerNorm { shift: None, ..with_parameters(Kind::Double) };
        for norm in [with_parameters(Kind::Double), scaled, LayerNorm::plain(6, 1e-6)] {
            let at = |h: f64| norm.forward(&Dual::constant(&x + h * &dx)).unwrap().value;
            let h = 1e-5;
            let differences = (at(h) - at(-h)) / (2.0 * h);
            let seeded = norm.forward(&Dual::new(x.shallow_clone(), dx.shallow_clone())).unwrap();
            let tolerance = Tolerance::absolute(1e-14, "rounding of float64");
            assert_close("seeded", &seeded.value, &at(0.0), tolerance);
            let tolerance = Tolerance::absolute(
                1e-8,
                "central differences: h² times a third derivative of order 10, and rounding 1e-16/h",
            );
            assert_close("seeded", &seeded.tangent.unwrap(), &differences, tolerance);
        }
    }

    #[test]
    fn float32_tangent_survives_a_mean_far_from_zero() {
        tch::manual_seed(0);
        let offset = 100.0;
        let x: Tensor = Tensor::randn([2, 50, 6], (Kind::Float, Device::Cpu)) + offset;
        let dx: Tensor = x.randn_like() + offset;
        let tangent = |kind| {
            let seeded = Dual::new(x.to_kind(kind), dx.to_kind(kind));
            with_parameters(kind).forward(&seeded).unwrap().tangent.unwrap().to_kind(Kind::Double)
        };
        let exact = tangent(Kind::Double);
        // With the few tokens of small σ the largest.
        let reason = "x − μ and ẋ − mean(ẋ) are off by 100 · 2⁻²⁴ = 6e-6, times slopes up to the tangent's own size";
        assert_close("tangent", &tangent(Kind::Float), &exact, Tolerance::of_largest(1e-4, reason));
    }
}

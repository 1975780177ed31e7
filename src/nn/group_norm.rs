//! Group normalisation (Wu & He, 2018): y = γ (x − μ) r + β with r = 1/√(σ² + ε), for x [B, C, ..] and γ, β [C].
//!
//! μ and σ² are taken over the n = (C/G)·H·W entries of one group of channels of one sample. The tangent follows from
//! μ̇ = mean(ẋ) and ∂σ² = 2 cov(x, ẋ), over the same entries:
//!
//! ẏ = γ r (ẋ − mean(ẋ) − r² cov(x, ẋ) (x − μ)),  cov(x, ẋ) = mean((x − μ) (ẋ − mean(ẋ)))
//!
//! Both factors of the covariance are centred, though one would do, since in float32 μ is rounded.

use super::{Init, Weights};
use crate::dual::Dual;
use crate::error::{Doing, Error, Result};
use tch::{TchError, Tensor};

/// Group normalisation with scale γ and shift β.
#[derive(Debug)]
pub struct GroupNorm {
    gamma: Tensor,
    beta: Tensor,
    channels: i64,
    groups: i64,
    epsilon: f64,
}

impl GroupNorm {
    /// Takes `weight` and `bias` `[channels]`; the number of groups must divide the number of channels.
    pub fn new(weights: &Weights, channels: i64, groups: i64, epsilon: f64) -> Result<Self> {
        if groups < 1 || channels % groups != 0 {
            return Err(Error::mismatch(
                format!("{groups} groups do not divide the {channels} channels that `{}` normalises", weights.name()),
                "Correct the number of groups or of channels in the configuration.",
            ));
        }
        let gamma = weights.tensor("weight", &[channels], Init::Ones)?;
        let beta = weights.tensor("bias", &[channels], Init::Zeros)?;
        Ok(GroupNorm { gamma, beta, channels, groups, epsilon })
    }

    /// x [B, C, ..] → the same shape.
    pub fn forward(&self, x: &Dual) -> Result<Dual> {
        let doing = "normalising groups of channels";
        if x.tangent.is_none() {
            // Keeps the memory format, and in a trace the batch size stays open.
            let (gamma, beta) = (Some(&self.gamma), Some(&self.beta));
            let value = x.value.f_group_norm(self.groups, gamma, beta, self.epsilon, true).doing(doing)?;
            return Ok(Dual::constant(value));
        }
        let input = x.value.f_contiguous().doing(doing)?;
        let batch = input.size().first().copied().unwrap_or(1);
        let pixels = input.size().iter().skip(2).product();
        let (value, mean, rstd) = input
            .f_native_group_norm(
                Some(&self.gamma),
                Some(&self.beta),
                batch,
                self.channels,
                pixels,
                self.groups,
                self.epsilon,
            )
            .doing(doing)?;
        let tangent = match &x.tangent {
            Some(tangent) => Some(self.tangent(&input, tangent, &mean, &rstd).doing(doing)?),
            None => None,
        };
        Ok(Dual { value, tangent })
    }

    /// ẏ from x, ẋ [B, C, ..] and the moments μ, r [B, G] of the forward pass.
    fn tangent(&self, x: &Tensor, dx: &Tensor, mean: &Tensor, rstd: &Tensor) -> std::result::Result<Tensor, TchError> {
        let kind = x.kind();
        let grouped = [-1, self.groups, self.channels / self.groups, x.size().iter().skip(2).product()];
        // libtorch keeps the moments of a half precision x in float32.
        let moment = |m: &Tensor| m.f_to_kind(kind)?.f_reshape([-1, self.groups, 1, 1]);
        let (mean, rstd) = (moment(mean)?, moment(rstd)?);
        let x_centered = x.f_reshape(grouped)?.f_sub(&mean)?;
        let group_mean = |x: &Tensor| x.f_mean_dim([2i64, 3].as_slice(), true, kind);
        let dx = dx.f_reshape(grouped)?;
        let dx_centered = dx.f_sub(&group_mean(&dx)?)?;
        let covariance = group_mean(&x_centered.f_mul(&dx_centered)?)?;
        // ẏ = γ r (ẋ − mean(ẋ)) − γ r³ cov(x, ẋ) (x − μ), with one coefficient per sample and channel. Products and
        // sums by themselves: libtorch's addcmul does not vectorise where it broadcasts.
        let scale = self.gamma.f_reshape([1, self.groups, -1, 1])?.f_mul(&rstd)?;
        let slope = scale.f_mul(&rstd.f_square()?.f_mul(&covariance)?)?;
        dx_centered.f_mul(&scale)?.f_sub_(&x_centered.f_mul(&slope)?)?.f_reshape(x.size())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Tolerance, assert_close};
    use std::path::Path;
    use tch::{Device, Kind};

    fn layer(channels: i64, groups: i64, kind: Kind) -> GroupNorm {
        let gamma = Tensor::linspace(0.5, 2.0, channels, (kind, Device::Cpu));
        let tensors = [("weight".to_string(), gamma.shallow_clone()), ("bias".to_string(), gamma.sin())];
        let weights = Weights::new(tensors.into_iter().collect(), Path::new("test"));
        GroupNorm::new(&weights, channels, groups, 1e-5).unwrap()
    }

    #[test]
    fn tangent_is_the_derivative() {
        tch::manual_seed(0);
        let norm = layer(6, 3, Kind::Double);
        let x = Tensor::randn([2, 6, 3, 5], (Kind::Double, Device::Cpu));
        let dx = x.randn_like();
        let at = |h: f64| norm.forward(&Dual::constant(&x + h * &dx)).unwrap().value;
        let h = 1e-5;
        let differences = (at(h) - at(-h)) / (2.0 * h);
        let tangent = norm.forward(&Dual::new(x.shallow_clone(), dx.shallow_clone())).unwrap().tangent.unwrap();
        let tolerance = Tolerance::absolute(
            1e-9,
            "central differences: h² times a third derivative of order 1, and rounding 1e-16/h",
        );
        assert_close("tangent", &tangent, &differences, tolerance);
    }

    #[test]
    fn float32_tangent_survives_a_mean_far_from_zero() {
        tch::manual_seed(0);
        let offset = 100.0;
        let x: Tensor = Tensor::randn([2, 6, 8, 8], (Kind::Float, Device::Cpu)) + offset;
        let dx: Tensor = x.randn_like() + offset;
        let tangent = |kind| {
            let seeded = Dual::new(x.to_kind(kind), dx.to_kind(kind));
            layer(6, 3, kind).forward(&seeded).unwrap().tangent.unwrap().to_kind(Kind::Double)
        };
        // With ẋ not centred in the covariance it would be a hundred times that.
        let reason = "x − μ and ẋ − mean(ẋ) are off by 100 · 2⁻²⁴ = 6e-6, times γ ≤ 2 and factors of x̂ ≤ 4";
        assert_close("tangent", &tangent(Kind::Float), &tangent(Kind::Double), Tolerance::absolute(1e-4, reason));
    }
}

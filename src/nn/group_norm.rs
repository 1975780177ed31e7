//! Group normalisation (Wu & He, 2018): y = γ (x − μ) r + β with r = 1/√(σ² + ε), for x [B, C, ..] and γ, β [C].
//!
//! μ and σ² are taken over the n = (C/G)·H·W entries of one group of channels of one sample. The tangent follows from
//! μ̇ = mean(ẋ) and σ̇² = 2 mean((x − μ) ẋ), where the means are over the same entries:
//!
//! ẏ = γ r (ẋ − mean(ẋ) − r² mean((x − μ) ẋ) (x − μ))

use super::Weights;
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
    /// Takes `weight` and `bias` [channels]; the number of groups must divide the number of channels.
    pub fn new(weights: &Weights, channels: i64, groups: i64, epsilon: f64) -> Result<Self> {
        if groups < 1 || channels % groups != 0 {
            return Err(Error::mismatch(
                format!("{groups} groups do not divide the {channels} channels that `{}` normalises", weights.name()),
                "Correct the number of groups or of channels in the configuration.",
            ));
        }
        let gamma = weights.tensor("weight", &[channels])?;
        let beta = weights.tensor("bias", &[channels])?;
        Ok(GroupNorm { gamma, beta, channels, groups, epsilon })
    }

    /// x [B, C, ..] → the same shape.
    pub fn forward(&self, x: &Dual) -> Result<Dual> {
        let doing = "normalising groups of channels";
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
        let centered = x.f_reshape(grouped)?.f_sub(&mean)?;
        let dx = dx.f_reshape(grouped)?;
        let group_mean = |x: &Tensor| x.f_mean_dim([2i64, 3].as_slice(), true, kind);
        let (mean_dx, mean_xdx) = (group_mean(&dx)?, group_mean(&centered.f_mul(&dx)?)?);
        // ẏ = γ r ẋ − γ r³ mean((x − μ) ẋ) (x − μ) − γ r mean(ẋ), with one coefficient per sample and channel
        let scale = self.gamma.f_reshape([1, self.groups, -1, 1])?.f_mul(&rstd)?;
        let slope = scale.f_mul(&rstd.f_square()?.f_mul(&mean_xdx)?)?;
        let offset = scale.f_mul(&mean_dx)?;
        // Products and sums by themselves: libtorch's addcmul does not vectorise where it broadcasts.
        let mut dy = dx.f_mul(&scale)?;
        dy.f_sub_(&centered.f_mul(&slope)?)?.f_sub_(&offset)?.f_reshape(x.size())
    }
}

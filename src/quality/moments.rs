//! Mean and covariance of features.

use crate::data::{MixtureParameters, Spread};
use crate::error::{Doing, Error, Result};
use ndarray::{Array1, Array2, ArrayView1, Axis};
use tch::{Device, Kind, Tensor};

/// Widest closed form whose covariance is worked out: a matrix of 2 GiB.
const WIDEST: usize = 16_384;

/// A mean and a covariance Σ = FᵀF, kept as its factor: that of few samples of many features is small, and no square root
/// loses digits.
#[derive(Debug)]
pub struct Moments {
    /// Mean, \[d\].
    pub mean: Tensor,
    /// F, [r, d].
    pub factor: Tensor,
}

impl Moments {
    /// Of features [N, d] in float64, N ≥ 2; the covariance is the unbiased one, over N − 1.
    pub fn of(features: &Tensor) -> Result<Self> {
        let doing = "computing mean and covariance";
        let (count, width) = features.size2().doing(doing)?;
        let mean = features.f_mean_dim(0, false, Kind::Double).doing(doing)?;
        let centred = features.f_sub(&mean).and_then(|v| v.f_div_scalar(((count - 1) as f64).sqrt())).doing(doing)?;
        // X = QR gives Σ = RᵀR with R of d rows, without the rounding of XᵀX.
        let factor = if count > width { Tensor::f_linalg_qr(&centred, "r").doing(doing)?.1 } else { centred };
        Ok(Moments { mean, factor })
    }

    /// From a covariance, [d, d] in float64: symmetric, positive semi-definite up to rounding.
    ///
    /// # Errors
    ///
    /// It is neither.
    pub fn from_covariance(mean: Tensor, covariance: &Tensor) -> Result<Self> {
        let doing = "factorising a covariance";
        let scale = covariance.f_abs().and_then(|v| v.f_max()).doing(doing)?.double_value(&[]);
        let asymmetry = covariance.f_sub(&covariance.tr()).and_then(|v| v.f_abs()?.f_max()).doing(doing)?;
        if asymmetry.double_value(&[]) > 1e-5 * scale {
            return Err(not_a_covariance("it is not symmetric"));
        }
        let (variance, basis) = covariance.f_linalg_eigh("L").doing(doing)?;
        // Statistics that went through float32 have eigenvalues down to about −1e-7 of the largest.
        if variance.min().double_value(&[]) < -1e-5 * scale {
            return Err(not_a_covariance("it has negative eigenvalues"));
        }
        let root = variance.f_clamp_min(0.0).and_then(|v| v.f_sqrt()?.f_unsqueeze(1)).doing(doing)?;
        Ok(Moments { mean, factor: basis.tr().f_mul(&root).doing(doing)? })
    }

    /// Those of a mixture of Gaussians, exactly.
    pub fn of_mixture(mixture: &MixtureParameters) -> Result<Self> {
        let width = mixture.means.ncols();
        if width > WIDEST {
            let allowed = format!("covariances of closed forms are worked out for up to {WIDEST} elements");
            let next = "Use --metrics sliced-wasserstein or mixture-mmd.";
            return Err(Error::unsupported(format!("frechet for a density over {width} elements"), allowed, next));
        }
        let (mean, covariance) = mean_and_covariance(mixture);
        Self::from_covariance(vector(mean.view())?, &matrix(&covariance)?)
    }

    /// Sum of the variances, tr Σ = ‖F‖².
    pub fn total_variance(&self) -> f64 {
        self.factor.square().sum(Kind::Double).double_value(&[])
    }

    /// Another handle on the same numbers.
    pub fn copy(&self) -> Self {
        Moments { mean: self.mean.shallow_clone(), factor: self.factor.shallow_clone() }
    }
}

/// μ = Σ_k π_k μ_k and Σ = Σ_k π_k (Σ_k + (μ_k − μ)(μ_k − μ)ᵀ).
fn mean_and_covariance(mixture: &MixtureParameters) -> (Array1<f64>, Array2<f64>) {
    let MixtureParameters { weights, means, spread } = mixture;
    let mean = weights.dot(means);
    let mut covariance = Array2::zeros((mean.len(), mean.len()));
    for (k, weight) in weights.iter().enumerate() {
        let offset = (&means.row(k) - &mean).insert_axis(Axis(1));
        covariance.scaled_add(*weight, &offset.dot(&offset.t()));
        match spread {
            Spread::Diagonal(std) => {
                covariance.diag_mut().scaled_add(*weight, &std.row(k).mapv(|std| std * std));
            }
            Spread::Full(components) => covariance.scaled_add(*weight, &components.index_axis(Axis(0), k)),
        }
    }
    (mean, covariance)
}

/// A vector of ours as a tensor, [d].
pub(super) fn vector(values: ArrayView1<f64>) -> Result<Tensor> {
    Tensor::f_from_slice(&values.to_vec()).and_then(|v| v.f_to_device(Device::Cpu)).doing("making a tensor of numbers")
}

/// A matrix of ours as a tensor, [n, d].
pub(super) fn matrix(values: &Array2<f64>) -> Result<Tensor> {
    let (rows, columns) = values.dim();
    let flat: Vec<f64> = values.iter().copied().collect();
    Tensor::f_from_slice(&flat)
        .and_then(|v| v.f_view([rows as i64, columns as i64]))
        .doing("making a tensor of numbers")
}

fn not_a_covariance(problem: &str) -> Error {
    Error::mismatch(
        format!("the covariance cannot be used: {problem}"),
        "Give a symmetric, positive semi-definite matrix [d, d].",
    )
}

//! x₀ ~ N(μ, Σ): ε*(x, t) = σ (α² Σ + σ² I)⁻¹ (x − α μ).
//!
//! In the eigenbasis Σ = Q Λ Qᵀ everything is elementwise: with y = Qᵀ(x − αμ), V = α²λ + σ² and gain g = σ/V,
//! ε* = Q (g ∘ y). Rates: V̇ = 2(αα̇λ + σσ̇), ġ = σ̇/V − σV̇/V², ẏ = −α̇ Qᵀμ.

use super::{Distribution, Rows};
use crate::draws::CleanSamples;
use crate::dual::Dual;
use crate::error::{Error, Result};
use crate::random::fill_normal;
use crate::schedule::Level;
use rand_chacha::ChaCha8Rng;
use tch::{Device, Kind, Tensor};

/// A Gaussian with diagonal or full covariance.
#[derive(Debug)]
pub struct Gaussian {
    /// Qᵀμ, [D].
    mean: Tensor,
    /// Eigenvalues λ of the covariance, [D].
    variance: Tensor,
    /// Q with eigenvectors as columns, [D, D]; `None` for the standard basis.
    basis: Option<Tensor>,
}

/// What a Gaussian knows about x at one level, one row each.
pub(super) struct Parts {
    /// ε*, [B, D].
    pub epsilon: Tensor,
    /// ∂ε*/∂t, [B, D].
    pub epsilon_rate: Option<Tensor>,
    /// log q_t(x) up to a constant that does not depend on the Gaussian or on t, [B, 1].
    pub log_density: Tensor,
    /// ∂ log q_t(x)/∂t at fixed x, [B, 1].
    pub log_density_rate: Option<Tensor>,
}

impl Gaussian {
    /// With independent elements: `mean` and `variance` of length D.
    pub fn diagonal(mean: &[f64], variance: &[f64], device: Device) -> Self {
        let on_device = |values: &[f64]| Tensor::from_slice(values).to_device(device);
        Gaussian { mean: on_device(mean), variance: on_device(variance), basis: None }
    }

    /// With covariance [D, D], row by row; refused unless symmetric and positive semi-definite.
    pub fn full(mean: &[f64], covariance: &[f64], device: Device) -> Result<Self> {
        let dim = mean.len() as i64;
        let matrix = Tensor::from_slice(covariance).to_device(device).reshape([dim, dim]);
        let scale = matrix.abs().max().double_value(&[]);
        if (&matrix - matrix.tr()).abs().max().double_value(&[]) > 1e-9 * scale {
            return Err(not_a_covariance("it is not symmetric"));
        }
        let (variance, basis) = matrix.linalg_eigh("L");
        if variance.min().double_value(&[]) < -1e-9 * scale {
            return Err(not_a_covariance("it has negative eigenvalues"));
        }
        let mean = Tensor::from_slice(mean).to_device(device).unsqueeze(0).matmul(&basis).squeeze_dim(0);
        Ok(Gaussian { mean, variance: variance.clamp_min(0.0), basis: Some(basis) })
    }

    /// Mean and variance per coordinate of the eigenbasis, where the elements are independent.
    pub fn moments(&self) -> (Vec<f64>, Vec<f64>) {
        (to_vec(&self.mean), to_vec(&self.variance))
    }

    /// A source of samples of this distribution.
    pub fn samples(&self) -> GaussianSamples {
        let basis = self.basis.as_ref().map(|basis| to_vec(&basis.reshape([-1])));
        let (mean, variance) = self.moments();
        GaussianSamples { mean, std: variance.into_iter().map(f64::sqrt).collect(), basis }
    }

    pub(super) fn parts(&self, x: &Tensor, rows: &Rows, with_rate: bool) -> Parts {
        let Rows { alpha, sigma, d_alpha, d_sigma } = rows;
        let y = self.rotate(x) - alpha * &self.mean;
        let v = alpha * alpha * &self.variance + sigma * sigma;
        let gain = sigma / &v;
        // log N(x; αμ, V) = −½ Σ (y²/V + ln V) + constant
        let log_density = (&y * &y / &v + v.log()).sum_dim_intlist(-1, true, Kind::Double) * -0.5;
        let epsilon = self.rotate_back(&(&gain * &y));
        if !with_rate {
            return Parts { epsilon, epsilon_rate: None, log_density, log_density_rate: None };
        }
        let d_v = (alpha * d_alpha * &self.variance + sigma * d_sigma) * 2.0;
        let d_gain = d_sigma / &v - sigma * &d_v / (&v * &v);
        let d_y = -(d_alpha * &self.mean);
        let epsilon_rate = self.rotate_back(&(d_gain * &y + &gain * &d_y));
        // ∂/∂t: −½ Σ (2yẏ/V − y²V̇/V² + V̇/V)
        let terms = &y * &d_y * 2.0 / &v - &y * &y * &d_v / (&v * &v) + &d_v / &v;
        let log_density_rate = terms.sum_dim_intlist(-1, true, Kind::Double) * -0.5;
        Parts { epsilon, epsilon_rate: Some(epsilon_rate), log_density, log_density_rate: Some(log_density_rate) }
    }

    /// Qᵀx for every row.
    fn rotate(&self, x: &Tensor) -> Tensor {
        self.basis.as_ref().map_or_else(|| x.shallow_clone(), |basis| x.matmul(basis))
    }

    /// Qy for every row.
    fn rotate_back(&self, y: &Tensor) -> Tensor {
        self.basis.as_ref().map_or_else(|| y.shallow_clone(), |basis| y.matmul(&basis.tr()))
    }
}

fn not_a_covariance(problem: &str) -> Error {
    Error::mismatch(
        format!("the covariance cannot be used: {problem}"),
        "Give a symmetric, positive semi-definite matrix [D, D], or standard deviations [D].",
    )
}

fn to_vec(tensor: &Tensor) -> Vec<f64> {
    let flat = tensor.to_device(Device::Cpu).to_kind(Kind::Double).contiguous();
    let mut values = vec![0.0; flat.numel()];
    flat.copy_data(&mut values, flat.numel());
    values
}

impl Distribution for Gaussian {
    fn dim(&self) -> i64 {
        self.mean.size()[0]
    }

    fn epsilon(&self, x: &Tensor, levels: &[Level], with_rate: bool) -> Result<Dual> {
        let parts = self.parts(x, &Rows::new(levels, x.device())?, with_rate);
        Ok(Dual { value: parts.epsilon, tangent: parts.epsilon_rate })
    }
}

/// Draws from a Gaussian: x₀ = Q (Qᵀμ + √λ ∘ z).
#[derive(Debug, Clone)]
pub struct GaussianSamples {
    mean: Vec<f64>,
    std: Vec<f64>,
    basis: Option<Vec<f64>>,
}

impl CleanSamples for GaussianSamples {
    fn draw(&self, rng: &mut ChaCha8Rng, out: &mut [f32]) -> Result<Option<usize>> {
        fill_normal(rng, out);
        let coordinates: Vec<f64> =
            (out.iter().zip(&self.mean).zip(&self.std)).map(|((z, mean), std)| mean + std * f64::from(*z)).collect();
        match &self.basis {
            None => out.iter_mut().zip(&coordinates).for_each(|(x, value)| *x = *value as f32),
            Some(basis) => {
                for (x, row) in out.iter_mut().zip(basis.chunks_exact(coordinates.len())) {
                    *x = row.iter().zip(&coordinates).map(|(q, value)| q * value).sum::<f64>() as f32;
                }
            }
        }
        Ok(None)
    }

    fn moments(&self) -> Option<[f64; 2]> {
        let count = self.mean.len() as f64;
        let mean = match &self.basis {
            None => self.mean.iter().sum::<f64>(),
            Some(basis) => {
                let rows = basis.chunks_exact(self.mean.len());
                rows.map(|row| row.iter().zip(&self.mean).map(|(q, mean)| q * mean).sum::<f64>()).sum()
            }
        };
        // A rotation leaves the sum of squares as it is.
        let square = self.mean.iter().zip(&self.std).map(|(mean, std)| mean * mean + std * std).sum::<f64>();
        Some([mean / count, square / count])
    }
}

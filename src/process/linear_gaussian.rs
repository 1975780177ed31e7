//! u = E_x x₀ + L ε, with auxiliary variables beside x: a state [k·C, …] holds the k variables one after the other.

use super::{Block, ForwardProcess, NoiseKind};
use crate::device::scale_rows;
use crate::error::{Doing, Result};
use crate::schedule::NoiseSchedule;
use crate::time::{Axis, Conditioning, Timestep};
use lipscope_core::process::{LinearGaussian, not_gaussian};
use std::sync::Arc;
use tch::Tensor;

impl ForwardProcess for Arc<LinearGaussian> {
    fn timesteps(&self) -> usize {
        LinearGaussian::timesteps(self)
    }

    fn gaussian(&self) -> Option<&dyn NoiseSchedule> {
        None
    }

    fn linear_gaussian(&self) -> Option<&Arc<LinearGaussian>> {
        Some(self)
    }

    fn coordinate(&self, axis: Axis, t: Timestep) -> Option<f64> {
        LinearGaussian::coordinate(self, axis, t)
    }

    fn coordinate_rate(&self, axis: Axis, t: Timestep) -> Option<f64> {
        LinearGaussian::coordinate_rate(self, axis, t)
    }

    /// The time of the process, in (0, 1], as trainers with auxiliary variables give it.
    fn conditioning(&self) -> Conditioning {
        Conditioning::scaled(Axis::Unit, 1.0)
    }

    fn state_shape(&self, sample: &[i64]) -> Vec<i64> {
        let first = sample.first().map(|channels| channels * self.variables() as i64);
        first.into_iter().chain(sample.iter().skip(1).copied()).collect()
    }

    fn blocks(&self, sample: &[i64]) -> Vec<Block> {
        let width: i64 = sample.iter().product();
        let block = |(name, i): (String, i64)| Block { name: Some(name), elements: i * width..(i + 1) * width };
        self.names().into_iter().zip(0..).map(block).collect()
    }

    fn noise(&self) -> NoiseKind {
        NoiseKind::Normal
    }

    fn start(&self, _noise: &Tensor, _t: Timestep) -> Result<Tensor> {
        Err(not_gaussian("sampling", &self.name))
    }

    fn state(&self, clean: &Tensor, noise: &Tensor, t: &[Timestep]) -> Result<Tensor> {
        // u_i = (E_x)_i x₀ + Σ_j L_ij ε_j
        let kernels = self.kernels(t);
        let k = self.variables();
        let noises = variables(noise, k)?;
        let of_noise = combine(k, t.len(), &noises, |row, i, j| kernels[row].factor[[i, j]])?;
        let of_clean = combine(k, t.len(), std::slice::from_ref(clean), |row, i, _| kernels[row].mean[i])?;
        let sums = of_clean.iter().zip(&of_noise).map(|(clean, noise)| clean.f_add(noise));
        sums.collect::<std::result::Result<Vec<_>, _>>().and_then(|all| Tensor::f_cat(&all, 1)).doing("noising samples")
    }
}

/// The k variables of states [B, k·C, …], [B, C, …] each.
pub(crate) fn variables(u: &Tensor, k: usize) -> Result<Vec<Tensor>> {
    u.f_chunk(k as i64, 1).doing("taking a state apart")
}

/// Σ_j m_ij x_j for i < k, where every row has its own matrix m(row, i, j).
pub(crate) fn combine(
    k: usize,
    rows: usize,
    x: &[Tensor],
    m: impl Fn(usize, usize, usize) -> f64,
) -> Result<Vec<Tensor>> {
    let doing = "combining variables";
    let one = |i: usize| {
        let mut sum: Option<Tensor> = None;
        for (j, x) in x.iter().enumerate() {
            let factors: Vec<f64> = (0..rows).map(|row| m(row, i, j)).collect();
            // A triangular matrix is half of zeros.
            if factors.iter().all(|factor| *factor == 0.0) {
                continue;
            }
            let term = scale_rows(x, &factors)?;
            sum = Some(match sum {
                Some(sum) => sum.f_add(&term).doing(doing)?,
                None => term,
            });
        }
        match (sum, x.first()) {
            (Some(sum), _) => Ok(sum),
            (None, Some(first)) => first.f_zeros_like().doing(doing),
            (None, None) => Tensor::f_zeros([rows as i64], (tch::Kind::Double, tch::Device::Cpu)).doing(doing),
        }
    };
    (0..k).map(one).collect()
}

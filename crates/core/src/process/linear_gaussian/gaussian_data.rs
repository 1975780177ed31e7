//! Gaussian data stay Gaussian: an element x₀ ~ N(μ, s²) gives u ~ N(m, P) with m = E_x μ and P = E_x s² E_xᵀ + Σ, and
//!
//! ε* = −Lᵀ ∇ ln q_t(u) = C (u − m) with C = Lᵀ P⁻¹, ∂ε*/∂t = Ċ (u − m) − C ṁ at fixed u,
//!
//! with Ċ = L̇ᵀ P⁻¹ − C Ṗ P⁻¹. P is kept as a factor K, P = K Kᵀ.

use super::matrix::{beside, inverse, triangular};
use super::{Kernel, LinearGaussian};
use crate::schedule::Timestep;
use ndarray::{Array1, Array2};

/// The ideal noise of one element, ε* = C (u − m); rates are per step.
#[derive(Debug, Clone)]
pub struct Ideal {
    /// C [k, k].
    pub gain: Array2<f64>,
    /// Ċ.
    pub d_gain: Array2<f64>,
    /// m `[k]`.
    pub mean: Array1<f64>,
    /// ṁ.
    pub d_mean: Array1<f64>,
    /// P = K Kᵀ.
    pub factor: Array2<f64>,
}

impl LinearGaussian {
    /// ε* at t of an element N(`mean`, `variance`); `kernel` is that of t.
    pub fn ideal(&self, kernel: &Kernel, t: Timestep, mean: f64, variance: f64) -> Ideal {
        let spread = kernel.mean.mapv(|entry| entry * variance.sqrt()).insert_axis(ndarray::Axis(1));
        let factor = triangular(&beside(&[spread, kernel.factor.clone()]));
        let inverse = inverse(&factor);
        // C = Lᵀ K⁻ᵀ K⁻¹, and Ċ = (L̇ᵀ K⁻ᵀ − Lᵀ K⁻ᵀ (K⁻¹ Ṗ K⁻ᵀ)) K⁻¹
        let half = kernel.factor.t().dot(&inverse.t());
        let moved = self.elapsed(t).1 * half.dot(&self.whitened_rate(&factor));
        Ideal {
            gain: half.dot(&inverse),
            d_gain: (kernel.d_factor.t().dot(&inverse.t()) - moved).dot(&inverse),
            mean: &kernel.mean * mean,
            d_mean: &kernel.d_mean * mean,
            factor,
        }
    }
}

/// Mean and variance of each variable, over u ~ q_t of `law`, which is that of another time where a timestep map asks so.
impl Ideal {
    /// Of ε*.
    pub fn size(&self, law: &Ideal) -> Vec<(f64, f64)> {
        normal(&self.gain, self.gain.dot(&(&law.mean - &self.mean)), law)
    }

    /// Of ∂ε*/∂t at fixed u, per step.
    pub fn rate(&self, law: &Ideal) -> Vec<(f64, f64)> {
        let shift = self.d_gain.dot(&(&law.mean - &self.mean)) - self.gain.dot(&self.d_mean);
        normal(&self.d_gain, shift, law)
    }

    /// Of ε*(u, t′) − ε*(u, t), with `next` that of t′.
    pub fn change(&self, next: &Ideal, law: &Ideal) -> Vec<(f64, f64)> {
        let shift = |ideal: &Ideal| ideal.gain.dot(&(&law.mean - &ideal.mean));
        normal(&(&next.gain - &self.gain), shift(next) - shift(self), law)
    }
}

/// The shift, and the diagonal of g P gᵀ.
fn normal(g: &Array2<f64>, shift: Array1<f64>, law: &Ideal) -> Vec<(f64, f64)> {
    let rows = g.dot(&law.factor);
    shift.into_iter().zip(rows.rows().into_iter().map(|row| row.dot(&row))).collect()
}

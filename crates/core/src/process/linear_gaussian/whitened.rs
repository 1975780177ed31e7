//! The kernel in coordinates in which its noise is N(0, I): z = L⁻¹u = a x₀ + ε with a = L⁻¹E_x.
//!
//! x₀ shows along n = a/‖a‖ alone: w = nᵀz = x₀/τ + nᵀε with τ = 1/‖a‖. So y = τ w is x₀ + τ N(0, 1), a Gaussian process with
//! α = 1 and σ = τ, whose ideal denoiser ε*(y, τ) is known; across n there is nothing but noise. The ideal noise is
//! ε* = z + n (ε*(y, τ) − w), whatever the law of x₀.

use super::Kernel;
use super::matrix::{inverse, solve};
use ndarray::{Array1, Array2, Axis};

/// L⁻¹, n and τ at one time; rates are per step.
#[derive(Debug, Clone)]
pub struct Whitened {
    /// L⁻¹ [k, k].
    pub inverse: Array2<f64>,
    /// (L⁻¹)˙ = −L⁻¹ L̇ L⁻¹.
    pub d_inverse: Array2<f64>,
    /// n `[k]`, a unit vector.
    pub direction: Array1<f64>,
    /// ṅ.
    pub d_direction: Array1<f64>,
    /// τ.
    pub tau: f64,
    /// τ̇.
    pub d_tau: f64,
}

impl Kernel {
    /// Its white coordinates.
    pub fn whitened(&self) -> Whitened {
        let inverse = inverse(&self.factor);
        let d_inverse = -inverse.dot(&self.d_factor).dot(&inverse);
        let white = |v: &Array1<f64>| solve(&self.factor, &v.clone().insert_axis(Axis(1))).remove_axis(Axis(1));
        let a = white(&self.mean);
        let tau = 1.0 / a.dot(&a).sqrt();
        let direction = &a * tau;
        // ȧ = L⁻¹(Ė_x − L̇ a); ‖a‖˙ = nᵀȧ
        let d_a = white(&(&self.d_mean - &self.d_factor.dot(&a)));
        let along = direction.dot(&d_a);
        let d_direction = (&d_a - &(&direction * along)) * tau;
        Whitened { inverse, d_inverse, direction, d_direction, tau, d_tau: -tau * tau * along }
    }
}

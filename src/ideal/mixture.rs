//! x₀ ~ Σ_k π_k N(μ_k, Σ_k): ε* = Σ_k r_k ε*_k with responsibilities r_k(x) ∝ π_k q_{t,k}(x).
//!
//! Rates: ∂ε*/∂t = Σ_k r_k (ε̇*_k + (ℓ̇_k − Σ_j r_j ℓ̇_j) ε*_k), ℓ_k = log q_{t,k}(x).

use super::gaussian::GaussianSamples;
use super::{Distribution, Gaussian, Rows};
use crate::draws::CleanSamples;
use crate::dual::Dual;
use crate::error::Result;
use crate::schedule::Level;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use tch::{Kind, Tensor};

/// A mixture of Gaussians of one dimension.
#[derive(Debug)]
pub struct Mixture {
    /// π_k, summing to 1.
    weights: Vec<f64>,
    components: Vec<Gaussian>,
}

impl Mixture {
    /// Weights above 0, normalised here, one per component.
    pub fn new(weights: &[f64], components: Vec<Gaussian>) -> Self {
        let total: f64 = weights.iter().sum();
        Mixture { weights: weights.iter().map(|weight| weight / total).collect(), components }
    }

    /// A source of samples of this distribution.
    pub fn samples(&self) -> MixtureSamples {
        let components = self.components.iter().map(Gaussian::samples).collect();
        MixtureSamples { weights: self.weights.clone(), components }
    }
}

impl Distribution for Mixture {
    fn dim(&self) -> i64 {
        self.components.first().map_or(0, Gaussian::dim)
    }

    fn epsilon(&self, x: &Tensor, levels: &[Level], with_rate: bool) -> Result<Dual> {
        let rows = Rows::new(levels, x.device())?;
        let parts: Vec<_> = self.components.iter().map(|component| component.parts(x, &rows, with_rate)).collect();
        let logits: Vec<Tensor> =
            parts.iter().zip(&self.weights).map(|(part, weight)| &part.log_density + weight.ln()).collect();
        // r, [B, K]
        let responsibility = Tensor::cat(&logits, 1).softmax(1, Kind::Double);
        let r = |k: usize| responsibility.narrow(1, k as i64, 1);
        let weighted = |terms: Vec<Tensor>| terms.into_iter().reduce(|sum, term| sum + term);
        let value = weighted(parts.iter().enumerate().map(|(k, part)| r(k) * &part.epsilon).collect());
        let value = value.unwrap_or_else(|| x.zeros_like());
        if !with_rate {
            return Ok(Dual::constant(value));
        }
        let rates: Vec<&Tensor> = parts.iter().filter_map(|part| part.log_density_rate.as_ref()).collect();
        let mean_rate = (&responsibility * Tensor::cat(&rates, 1)).sum_dim_intlist(1, true, Kind::Double);
        let terms = parts.iter().zip(&rates).enumerate().filter_map(|(k, (part, rate))| {
            part.epsilon_rate.as_ref().map(|epsilon_rate| r(k) * (epsilon_rate + (*rate - &mean_rate) * &part.epsilon))
        });
        Ok(Dual { value, tangent: weighted(terms.collect()) })
    }
}

/// Draws from a mixture: a component, then a sample of it.
#[derive(Debug, Clone)]
pub struct MixtureSamples {
    weights: Vec<f64>,
    components: Vec<GaussianSamples>,
}

impl CleanSamples for MixtureSamples {
    fn draw(&self, rng: &mut ChaCha8Rng, out: &mut [f32]) -> Result<Option<usize>> {
        let mut left: f64 = rng.random();
        for (weight, component) in self.weights.iter().zip(&self.components) {
            left -= weight;
            if left < 0.0 {
                return component.draw(rng, out);
            }
        }
        // Rounding may leave a sliver above the last weight; it belongs to the last component.
        self.components.last().map_or(Ok(None), |component| component.draw(rng, out))
    }

    fn moments(&self) -> Option<[f64; 2]> {
        let mut sum = [0.0; 2];
        for (weight, component) in self.weights.iter().zip(&self.components) {
            let [mean, square] = component.moments()?;
            sum = [sum[0] + weight * mean, sum[1] + weight * square];
        }
        Some(sum)
    }
}

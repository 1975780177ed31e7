//! A schedule given by its values on the grid.
//!
//! Between the indices α = √ᾱ is a monotone cubic Hermite interpolant (Fritsch & Butland, 1984: slopes are harmonic
//! means of the neighbouring differences) through the T grid values and α(−1) = 1, the clean sample. It is exact at
//! every index, once continuously differentiable, never leaves [0, 1], and stays defined where ᾱ reaches 0.
//! σ = √(1 − α²), hence dσ/dt = −(α/σ)·dα/dt: at t = −1, where dα/dt ≠ 0, it is infinite.

use super::NoiseSchedule;
use crate::error::{Error, Result};
use crate::schedule::Timestep;

/// A variance-preserving schedule through given ᾱ.
#[derive(Debug, Clone)]
pub struct Table {
    /// α at t = −1, 0, …, T−1.
    alpha: Vec<f64>,
    /// dα/dt at the same places.
    slope: Vec<f64>,
}

impl Table {
    /// From β_t, t = 0 … T−1: ᾱ_t = ∏_{s ≤ t} (1 − β_s).
    pub fn from_betas(betas: &[f64]) -> Result<Self> {
        if let Some((t, beta)) = betas.iter().enumerate().find(|(_, beta)| !(**beta > 0.0 && **beta <= 1.0)) {
            return Err(Error::argument(
                "the schedule",
                format!("beta[{t}] = {beta}"),
                "every beta lies above 0 and at most at 1",
                "Check the beta range of the schedule.",
            ));
        }
        let mut product = 1.0;
        let alpha_bar: Vec<f64> = betas
            .iter()
            .map(|beta| {
                product *= 1.0 - beta;
                product
            })
            .collect();
        Table::from_alpha_bar(&alpha_bar)
    }

    /// From ᾱ_t, t = 0 … T−1, decreasing within [0, 1).
    pub fn from_alpha_bar(alpha_bar: &[f64]) -> Result<Self> {
        if alpha_bar.len() < 2 {
            return Err(Error::argument(
                "the schedule",
                format!("{} values", alpha_bar.len()),
                "a schedule needs at least two timesteps",
                "Give the values of all T timesteps.",
            ));
        }
        let mut previous = 1.0;
        for (t, &value) in alpha_bar.iter().enumerate() {
            if !(value < previous && value >= 0.0) {
                return Err(Error::argument(
                    "the schedule",
                    format!("alpha_bar[{t}] = {value} after {previous}"),
                    "alpha_bar decreases strictly from below 1 and never below 0",
                    "Check the values and their order (t = 0 is the least noisy).",
                ));
            }
            previous = value;
        }
        Ok(Table::through(std::iter::once(1.0).chain(alpha_bar.iter().map(|value| value.sqrt())).collect()))
    }

    /// Zero terminal SNR (Lin et al., arXiv 2305.08891, algorithm 1): α ← (α − α_{T−1}) · α₀ / (α₀ − α_{T−1}).
    pub fn zero_terminal_snr(&self) -> Self {
        let (first, last) = (self.alpha[1], self.alpha[self.alpha.len() - 1]);
        let rescaled = self.alpha[1..].iter().map(|alpha| (alpha - last) * first / (first - last));
        Table::through(std::iter::once(1.0).chain(rescaled).collect())
    }

    fn through(alpha: Vec<f64>) -> Self {
        let difference: Vec<f64> = alpha.windows(2).map(|pair| pair[1] - pair[0]).collect();
        let last = difference.len() - 1;
        let mut slope = Vec::with_capacity(alpha.len());
        slope.push(end_slope(difference[0], difference[1.min(last)]));
        slope.extend(difference.windows(2).map(|pair| harmonic_mean(pair[0], pair[1])));
        slope.push(end_slope(difference[last], difference[last.saturating_sub(1)]));
        Table { alpha, slope }
    }

    /// The knot left of t and the position in [0, 1] from there.
    fn locate(&self, t: Timestep) -> (usize, f64) {
        let position = (t + 1.0).clamp(0.0, (self.alpha.len() - 1) as f64);
        let knot = (position.floor() as usize).min(self.alpha.len() - 2);
        (knot, position - knot as f64)
    }
}

/// The harmonic mean of two differences of one sign, else 0: it keeps the interpolant monotone.
fn harmonic_mean(a: f64, b: f64) -> f64 {
    if a * b > 0.0 { 2.0 * a * b / (a + b) } else { 0.0 }
}

/// The three-point slope at an end, limited so that the interpolant stays monotone.
fn end_slope(nearest: f64, next: f64) -> f64 {
    let slope = (3.0 * nearest - next) / 2.0;
    if slope * nearest <= 0.0 {
        0.0
    } else if slope.abs() > 3.0 * nearest.abs() {
        3.0 * nearest
    } else {
        slope
    }
}

impl NoiseSchedule for Table {
    fn timesteps(&self) -> usize {
        self.alpha.len() - 1
    }

    fn alpha(&self, t: Timestep) -> f64 {
        let (k, s) = self.locate(t);
        let (a, b) = (self.alpha[k], self.alpha[k + 1]);
        if s == 0.0 {
            return a;
        }
        if s == 1.0 {
            return b;
        }
        // Hermite basis on [0, 1]: h00 = 1 − h01, h01 = s²(3 − 2s), h10 = s(1 − s)², h11 = −s²(1 − s)
        a + (b - a) * s * s * (3.0 - 2.0 * s) + self.slope[k] * s * (1.0 - s) * (1.0 - s)
            - self.slope[k + 1] * s * s * (1.0 - s)
    }

    fn sigma(&self, t: Timestep) -> f64 {
        let alpha = self.alpha(t);
        ((1.0 - alpha) * (1.0 + alpha)).sqrt()
    }

    fn d_alpha_dt(&self, t: Timestep) -> f64 {
        let (k, s) = self.locate(t);
        (self.alpha[k + 1] - self.alpha[k]) * 6.0 * s * (1.0 - s)
            + self.slope[k] * (1.0 - s) * (1.0 - 3.0 * s)
            + self.slope[k + 1] * s * (3.0 * s - 2.0)
    }

    fn d_sigma_dt(&self, t: Timestep) -> f64 {
        // dσ/dt = −(α/σ)·dα/dt
        -self.alpha(t) / self.sigma(t) * self.d_alpha_dt(t)
    }
}

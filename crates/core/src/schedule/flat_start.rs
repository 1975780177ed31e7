//! The modified schedule of arXiv 2306.11251 (its alternatives to sharing): α is changed near t = 0 so that dα/dt|₀ = 0,
//! as `NAME:flat-until=100`.
//!
//! Time is slowed down: with p = t + 1 steps of noise and P = `flat-until`, the schedule at p is the original one at
//! g(p) = p²(2 − p/P)/P for p < P, and itself from P on. g and g' are continuous, g(0) = g'(0) = 0, g(P) = P, g'(P) = 1.
//! Then α ≈ 1 − c g(p) and σ ∝ √g(p) ∝ p, so that dσ/dt|₀ is finite; the price is a shifted SNR on (0, P).

use super::NoiseSchedule;
use crate::error::{Error, Result};
use crate::schedule::Timestep;
use std::sync::Arc;

/// A schedule whose α starts flat.
#[derive(Debug, Clone)]
pub struct FlatStart {
    original: Arc<dyn NoiseSchedule>,
    /// P.
    until: f64,
}

impl FlatStart {
    /// `original`, slowed down over its first `until` steps.
    pub fn new(original: Arc<dyn NoiseSchedule>, until: f64) -> Result<Self> {
        let timesteps = original.timesteps();
        if !(until > 0.0 && until <= timesteps as f64) {
            let allowed = format!("it lies above 0 and at most at T = {timesteps}");
            return Err(Error::argument("the schedule's flat-until", until, allowed, "Such as flat-until=100."));
        }
        Ok(FlatStart { original, until })
    }

    /// The original's timestep, and its rate.
    fn slowed(&self, t: Timestep) -> (Timestep, f64) {
        let (steps, until) = (t + 1.0, self.until);
        if steps >= until {
            return (t, 1.0);
        }
        // g(p) = p²(2 − p/P)/P,  g'(p) = p(4 − 3p/P)/P
        (steps * steps * (2.0 - steps / until) / until - 1.0, steps * (4.0 - 3.0 * steps / until) / until)
    }
}

impl NoiseSchedule for FlatStart {
    fn timesteps(&self) -> usize {
        self.original.timesteps()
    }

    fn alpha(&self, t: Timestep) -> f64 {
        self.original.alpha(self.slowed(t).0)
    }

    fn sigma(&self, t: Timestep) -> f64 {
        self.original.sigma(self.slowed(t).0)
    }

    fn d_alpha_dt(&self, t: Timestep) -> f64 {
        let (slowed, rate) = self.slowed(t);
        if rate == 0.0 { 0.0 } else { rate * self.original.d_alpha_dt(slowed) }
    }

    fn d_sigma_dt(&self, t: Timestep) -> f64 {
        let (slowed, rate) = self.slowed(t);
        if rate > 0.0 {
            return rate * self.original.d_sigma_dt(slowed);
        }
        // At the clean sample, where α² + σ² = 1, σ² ≈ −2 α̇ g ≈ −4 α̇ p²/P, hence σ̇ = 2 √(−α̇/P).
        let start = self.original.d_sigma_dt(-1.0);
        if start.is_finite() { 0.0 } else { 2.0 * (-self.original.d_alpha_dt(-1.0) / self.until).sqrt() }
    }
}

#[cfg(test)]
mod tests {
    use crate::schedule::parse;

    #[test]
    fn alpha_starts_flat_and_returns_to_the_original() {
        let (flat, original) = (parse("linear:flat-until=100").unwrap(), parse("linear").unwrap());
        assert_eq!((flat.alpha(-1.0), flat.sigma(-1.0), flat.d_alpha_dt(-1.0)), (1.0, 0.0, 0.0));
        for t in [99.0, 100.0, 500.0, 999.0] {
            assert_eq!(flat.alpha(t), original.alpha(t));
        }
        assert!(flat.sigma(0.0) < original.sigma(0.0) / 5.0);
        assert!(original.d_sigma_dt(-1.0).is_infinite());
        let start = flat.d_sigma_dt(-1.0);
        // σ is proportional to t + 1 near 0, to terms of relative size (t + 1)/P.
        let secant = flat.sigma(-1.0 + 1e-3) / 1e-3;
        assert!((secant / start - 1.0).abs() < 1e-4, "{secant} {start}");
    }

    #[test]
    fn its_rates_are_derivatives() {
        for name in ["linear:flat-until=100", "cosine:flat-until=37.5", "trigflow:flat-until=100"] {
            let schedule = parse(name).unwrap();
            for t in [0.5, 20.3, 36.0, 99.5, 400.5] {
                let h = 1e-5;
                let central = |f: &dyn Fn(f64) -> f64| (f(t + h) - f(t - h)) / (2.0 * h);
                // Rounding 1e-16/h, and h² times a third derivative that grows towards t = −1.
                assert!((schedule.d_alpha_dt(t) - central(&|t| schedule.alpha(t))).abs() < 1e-9, "{name} {t}");
                assert!((schedule.d_sigma_dt(t) - central(&|t| schedule.sigma(t))).abs() < 1e-8, "{name} {t}");
            }
        }
    }

    #[test]
    fn nonsense_is_refused() {
        for text in ["linear:flat-until=-1", "linear:flat-until=2000", "linear:flat-until=x"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}

//! Schedules that leave x₀ as it is: α = 1, so that x = x₀ + σ ε and λ = −2 ln σ. Index 0 has the smallest σ and T − 1 the
//! largest, which is what sampling starts from; σ stays above 0 below index 0 too, where the formulas go on.
//!
//! - `ve` (Song et al., arXiv 2011.13456, eq. 31): σ is geometric over t, σ = σ_min (σ_max/σ_min)^u, u = t/(T−1);
//! - `edm` (Karras et al., arXiv 2206.00364, eq. 5, which counts from the noise): σ^(1/ρ) is linear over t,
//!   σ = (σ_min^(1/ρ) + u (σ_max^(1/ρ) − σ_min^(1/ρ)))^ρ. For ρ → ∞ that is `ve`.

use super::{Built, Member, NoiseSchedule, Parameters, Timestep};
use crate::error::{Error, Result};

pub(super) const GEOMETRIC: Member = Member {
    name: "ve",
    parameters: &[("sigma-min", "0.002"), ("sigma-max", "80")],
    about: "α = 1, σ geometric over t from sigma-min to sigma-max",
    build: |parameters| build(parameters, Spacing::Geometric),
};

pub(super) const EDM: Member = Member {
    name: "edm",
    parameters: &[("sigma-min", "0.002"), ("sigma-max", "80"), ("rho", "7")],
    about: "α = 1, σ^(1/ρ) linear over t from sigma-min to sigma-max",
    build: |parameters| build(parameters, Spacing::Power { rho: parameters.positive("rho")? }),
};

#[derive(Debug, Clone, Copy)]
enum Spacing {
    Geometric,
    Power { rho: f64 },
}

fn build(parameters: &Parameters, spacing: Spacing) -> Result<Built> {
    let (min, max) = (parameters.positive("sigma-min")?, parameters.positive("sigma-max")?);
    if min >= max {
        let allowed = format!("it lies below sigma-max = {max}");
        return Err(Error::argument("the schedule's sigma-min", min, allowed, "Such as sigma-min=0.002,sigma-max=80."));
    }
    let timesteps = parameters.timesteps()?;
    Ok(Built::Continuous(Box::new(VarianceExploding { timesteps, min, max, spacing })))
}

#[derive(Debug)]
struct VarianceExploding {
    timesteps: usize,
    min: f64,
    max: f64,
    spacing: Spacing,
}

impl VarianceExploding {
    /// du/dt.
    fn speed(&self) -> f64 {
        1.0 / (self.timesteps - 1) as f64
    }

    /// σ and dσ/du.
    fn sigma_at(&self, t: Timestep) -> (f64, f64) {
        let u = t * self.speed();
        match self.spacing {
            Spacing::Geometric => {
                let slope = (self.max / self.min).ln();
                let sigma = self.min * (slope * u).exp();
                (sigma, slope * sigma)
            }
            Spacing::Power { rho } => {
                let (from, until) = (self.min.powf(1.0 / rho), self.max.powf(1.0 / rho));
                // A grid of a few steps would go below 0 before index 0.
                let base = (from + u * (until - from)).max(0.0);
                (base.powf(rho), rho * base.powf(rho - 1.0) * (until - from))
            }
        }
    }
}

impl NoiseSchedule for VarianceExploding {
    fn timesteps(&self) -> usize {
        self.timesteps
    }

    fn alpha(&self, _t: Timestep) -> f64 {
        1.0
    }

    fn sigma(&self, t: Timestep) -> f64 {
        self.sigma_at(t).0
    }

    fn d_alpha_dt(&self, _t: Timestep) -> f64 {
        0.0
    }

    fn d_sigma_dt(&self, t: Timestep) -> f64 {
        self.sigma_at(t).1 * self.speed()
    }

    fn start_std(&self, t: Timestep) -> f64 {
        self.sigma(t)
    }

    /// The index depends on T, σ_min and ρ, which belong to the sampling and not to the model.
    fn has_steps(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use crate::schedule::parse;

    #[test]
    fn ends_and_middle_are_those_of_the_papers() {
        let close = |got: f64, expected: f64| assert!((got / expected - 1.0).abs() < 1e-13, "{got} {expected}");
        let ve = parse("ve:sigma-min=0.01,sigma-max=50,timesteps=101").unwrap();
        // The geometric mean halfway.
        for (t, sigma) in [(0.0, 0.01), (50.0, 0.5f64.sqrt()), (100.0, 50.0)] {
            close(ve.sigma(t), sigma);
        }
        let edm = parse("edm:timesteps=18").unwrap();
        close(edm.sigma(0.0), 0.002);
        close(edm.sigma(17.0), 80.0);
        // EDM's eq. 5 at i = 5 of N = 18, counted from the noise.
        let (a, b) = (80f64.powf(1.0 / 7.0), 0.002f64.powf(1.0 / 7.0));
        close(edm.sigma(12.0), (a + 5.0 / 17.0 * (b - a)).powi(7));
    }

    #[test]
    fn sampling_starts_from_the_largest_sigma() {
        for name in ["ve", "edm"] {
            let schedule = parse(name).unwrap();
            assert!((schedule.start_std(999.0) / 80.0 - 1.0).abs() < 1e-13, "{name}");
            assert_eq!((schedule.alpha(999.0), schedule.has_steps()), (1.0, false), "{name}");
        }
        assert_eq!(parse("linear").unwrap().start_std(999.0), 1.0);
    }

    #[test]
    fn nonsense_is_refused() {
        for text in ["ve:sigma-min=80,sigma-max=1", "edm:rho=0", "ve:rho=7", "edm:sigma-min=0", "ve-zero-terminal-snr"]
        {
            assert!(parse(text).is_err(), "{text}");
        }
        // Below index 0 a grid of two steps has no noise at all.
        assert_eq!(parse("edm:timesteps=2").unwrap().sigma(-1.0), 0.0);
    }
}

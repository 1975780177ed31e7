//! Song et al.'s SDEs of bounded variance in continuous time (arXiv 2011.13456, appendix B), with
//! B = ½ (β_max − β_min) u² + β_min u, u = (t + 1)/T:
//!
//! - `vp`: α² = e^(−B), σ² = 1 − e^(−B), the limit of `linear`;
//! - `sub-vp`: α² = e^(−B), σ = 1 − e^(−B), whose dσ/dt is finite at the clean sample.

use super::{Built, Member, NoiseSchedule, Parameters, Timestep};
use crate::error::{Error, Result};

const PARAMETERS: &[(&str, &str)] = &[("beta-min", "0.1"), ("beta-max", "20")];

pub(super) const VP: Member = Member {
    name: "vp",
    parameters: PARAMETERS,
    about: "α² = e^(−B), σ² = 1 − α², B = ½ (beta-max − beta-min) u² + beta-min u, u = (t+1)/T",
    build: |parameters| build(parameters, false),
};

pub(super) const SUB_VP: Member = Member {
    name: "sub-vp",
    parameters: PARAMETERS,
    about: "the same with σ = 1 − α²",
    build: |parameters| build(parameters, true),
};

fn build(parameters: &Parameters, below: bool) -> Result<Built> {
    let (min, max) = (parameters.positive("beta-min")?, parameters.positive("beta-max")?);
    if min > max {
        let allowed = format!("it is at most beta-max = {max}");
        return Err(Error::argument("the schedule's beta-min", min, allowed, "Such as beta-min=0.1,beta-max=20."));
    }
    Ok(Built::Continuous(Box::new(BoundedVariance { timesteps: parameters.timesteps()?, min, max, below })))
}

#[derive(Debug)]
struct BoundedVariance {
    timesteps: usize,
    min: f64,
    max: f64,
    /// Whether the variance stays below that of `vp`.
    below: bool,
}

impl BoundedVariance {
    /// B and dB/dt.
    fn integral(&self, t: Timestep) -> (f64, f64) {
        let u = (t + 1.0) / self.timesteps as f64;
        let slope = self.max - self.min;
        (u * (0.5 * slope * u + self.min), (slope * u + self.min) / self.timesteps as f64)
    }
}

impl NoiseSchedule for BoundedVariance {
    fn timesteps(&self) -> usize {
        self.timesteps
    }

    fn alpha(&self, t: Timestep) -> f64 {
        (-0.5 * self.integral(t).0).exp()
    }

    fn sigma(&self, t: Timestep) -> f64 {
        let variance = -(-self.integral(t).0).exp_m1();
        if self.below { variance } else { variance.sqrt() }
    }

    fn d_alpha_dt(&self, t: Timestep) -> f64 {
        // α̇ = −½ Ḃ α
        -0.5 * self.integral(t).1 * self.alpha(t)
    }

    fn d_sigma_dt(&self, t: Timestep) -> f64 {
        let (integral, rate) = self.integral(t);
        let variance_rate = rate * (-integral).exp();
        // (√v)˙ = ½ v̇/√v
        if self.below { variance_rate } else { 0.5 * variance_rate / self.sigma(t) }
    }
}

#[cfg(test)]
mod tests {
    use crate::schedule::parse;

    #[test]
    fn it_is_the_limit_of_linear() {
        let (vp, linear) = (parse("vp").unwrap(), parse("linear").unwrap());
        for t in [0.0, 99.0, 999.0] {
            // B of the first step is ½ β_d/T² or a tenth larger than β₁; at the end Σ β²/2 is 0.07.
            let difference = vp.log_snr(t) - linear.log_snr(t);
            assert!(difference.abs() < 0.1, "{t}: {difference}");
        }
        // Song et al.: ᾱ(1) = exp(−½ (β_max + β_min)).
        assert!((vp.alpha_bar(999.0) / (-10.05f64).exp() - 1.0).abs() < 1e-12);
        assert!(parse("vp:beta-min=3,beta-max=2").is_err());
    }

    #[test]
    fn sub_vp_has_the_same_signal_and_less_noise() {
        let (vp, sub) = (parse("vp").unwrap(), parse("sub-vp").unwrap());
        for t in [0.0, 300.5, 999.0] {
            assert_eq!(vp.alpha(t), sub.alpha(t));
            assert!((sub.sigma(t) - vp.sigma(t).powi(2)).abs() < 1e-15);
        }
        assert!(sub.d_sigma_dt(-1.0).is_finite() && vp.d_sigma_dt(-1.0).is_infinite());
    }
}

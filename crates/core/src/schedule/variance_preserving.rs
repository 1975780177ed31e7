//! The variance-preserving SDE in continuous time (Song et al., arXiv 2011.13456, eq. 32–33), the limit of `linear`:
//! ᾱ = exp(−B), B = ½ (β_max − β_min) u² + β_min u, u = (t + 1)/T.

use super::{Built, Member, NoiseSchedule, Parameters, Timestep};
use crate::error::{Error, Result};

pub(super) const MEMBER: Member = Member {
    name: "vp",
    parameters: &[("beta-min", "0.1"), ("beta-max", "20")],
    about: "ᾱ = exp(−½ (beta-max − beta-min) u² − beta-min u), u = (t+1)/T",
    build,
};

fn build(parameters: &Parameters) -> Result<Built> {
    let (min, max) = (parameters.positive("beta-min")?, parameters.positive("beta-max")?);
    if min > max {
        let allowed = format!("it is at most beta-max = {max}");
        return Err(Error::argument("the schedule's beta-min", min, allowed, "Such as beta-min=0.1,beta-max=20."));
    }
    Ok(Built::Continuous(Box::new(VariancePreserving { timesteps: parameters.timesteps()?, min, max })))
}

#[derive(Debug)]
struct VariancePreserving {
    timesteps: usize,
    min: f64,
    max: f64,
}

impl VariancePreserving {
    /// B and dB/dt.
    fn integral(&self, t: Timestep) -> (f64, f64) {
        let u = (t + 1.0) / self.timesteps as f64;
        let slope = self.max - self.min;
        (u * (0.5 * slope * u + self.min), (slope * u + self.min) / self.timesteps as f64)
    }
}

impl NoiseSchedule for VariancePreserving {
    fn timesteps(&self) -> usize {
        self.timesteps
    }

    fn alpha(&self, t: Timestep) -> f64 {
        (-0.5 * self.integral(t).0).exp()
    }

    fn sigma(&self, t: Timestep) -> f64 {
        // σ² = 1 − ᾱ
        (-(-self.integral(t).0).exp_m1()).sqrt()
    }

    fn d_alpha_dt(&self, t: Timestep) -> f64 {
        // α̇ = −½ Ḃ α
        -0.5 * self.integral(t).1 * self.alpha(t)
    }

    fn d_sigma_dt(&self, t: Timestep) -> f64 {
        // σ̇ = ½ Ḃ ᾱ/σ
        let (integral, rate) = self.integral(t);
        0.5 * rate * (-integral).exp() / self.sigma(t)
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
}

//! EDM's preconditioning (Karras et al., arXiv 2206.00364, eq. 7 and table 1): with F the network,
//! x̂₀ = c_skip x + c_out F(c_in x).
//!
//! EDM writes x = x₀ + σ ε. With x = α x₀ + σ ε, N = α² σ_d² + σ² the variance of x and σ_d the standard deviation of the
//! data, its scalings are
//!
//! ```text
//! c_in = 1/√N    c_skip = α σ_d²/N    c_out = σ σ_d/√N    hence ε̂ = (σ/N) x − (α σ_d/√N) F
//! ```
//!
//! For σ_d = 1 and α² + σ² = 1 this is the v-prediction with its sign turned; under `trigflow` it is that of sCM (Lu and
//! Song, arXiv 2410.11081).

use super::Factor;
use crate::error::{Error, Result};
use crate::prediction::Affine;
use crate::schedule::Level;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// EDM's scalings.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Edm {
    /// σ_d, the standard deviation of the data per element; above 0.
    pub sigma_data: f64,
}

impl Default for Edm {
    /// σ_d of EDM's images.
    fn default() -> Self {
        Edm { sigma_data: 0.5 }
    }
}

impl Edm {
    /// N and dN/dt.
    fn variance(&self, level: &Level) -> Factor {
        let Level { alpha, sigma, d_alpha, d_sigma } = *level;
        let d2 = self.sigma_data * self.sigma_data;
        Factor { value: alpha * alpha * d2 + sigma * sigma, rate: 2.0 * (alpha * d_alpha * d2 + sigma * d_sigma) }
    }

    /// c_in, by which x is multiplied before the network sees it.
    pub fn input(&self, level: &Level) -> Factor {
        let n = self.variance(level);
        let value = 1.0 / n.value.sqrt();
        // (N^{-1/2})˙ = −½ N^{-3/2} Ṅ
        Factor { value, rate: -0.5 * value * n.rate / n.value }
    }

    /// What F should be, as factors of (x₀, ε).
    pub fn target(&self, level: &Level) -> (f64, f64) {
        let c_in = self.input(level).value;
        (level.sigma * c_in / self.sigma_data, -level.alpha * self.sigma_data * c_in)
    }

    /// ε from F and x.
    pub fn epsilon(&self, level: &Level) -> Affine {
        let (n, c_in) = (self.variance(level), self.input(level));
        Affine { output: -level.alpha * self.sigma_data * c_in.value, x: level.sigma / n.value }
    }

    /// d/dt of [`Edm::epsilon`]'s two factors, per step.
    pub fn epsilon_rate(&self, level: &Level) -> Affine {
        let Level { alpha, sigma, d_alpha, d_sigma } = *level;
        let (n, c_in) = (self.variance(level), self.input(level));
        Affine {
            output: -self.sigma_data * (d_alpha * c_in.value + alpha * c_in.rate),
            x: (d_sigma - sigma * n.rate / n.value) / n.value,
        }
    }

    /// x₀ from F and x: c_out and c_skip.
    pub fn x0(&self, level: &Level) -> Affine {
        let (n, c_in) = (self.variance(level), self.input(level));
        let d = self.sigma_data;
        Affine { output: level.sigma * d * c_in.value, x: level.alpha * d * d / n.value }
    }

    /// d/dt of [`Edm::x0`]'s two factors, per step.
    pub fn x0_rate(&self, level: &Level) -> Affine {
        let Level { alpha, sigma, d_alpha, d_sigma } = *level;
        let (n, c_in, d) = (self.variance(level), self.input(level), self.sigma_data);
        Affine {
            output: d * (d_sigma * c_in.value + sigma * c_in.rate),
            x: d * d * (d_alpha - alpha * n.rate / n.value) / n.value,
        }
    }
}

impl fmt::Display for Edm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "edm:sigma-data={}", self.sigma_data)
    }
}

impl FromStr for Edm {
    type Err = Error;

    /// `edm`, or `edm:sigma-data=0.5`.
    fn from_str(text: &str) -> Result<Self> {
        let refuse = || {
            let allowed = "edm takes sigma-data, a number above 0";
            Error::argument("--prediction", text, allowed, "Such as edm:sigma-data=0.5.")
        };
        let Some(parameters) = text.strip_prefix("edm") else { return Err(refuse()) };
        if parameters.is_empty() {
            return Ok(Edm::default());
        }
        let value = parameters.strip_prefix(":sigma-data=").and_then(|value| value.parse::<f64>().ok());
        match value.filter(|value| value.is_finite() && *value > 0.0) {
            Some(sigma_data) => Ok(Edm { sigma_data }),
            None => Err(refuse()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prediction::Prediction;
    use crate::schedule;

    /// Table 1 of the paper, with y = x/α and s = σ/α: its c_in is that of y, its F is the same.
    #[test]
    fn the_scalings_are_those_of_the_paper() {
        let edm = Edm { sigma_data: 0.5 };
        for (name, t) in [("linear", 3.0), ("cosine", 500.0), ("flow", 800.0)] {
            let level = schedule::parse(name).unwrap().level(t);
            let s = level.sigma / level.alpha;
            let root = (s * s + 0.25).sqrt();
            let close = |got: f64, paper: f64| assert!((got / paper - 1.0).abs() < 1e-14, "{name}: {got} {paper}");
            close(edm.input(&level).value * level.alpha, 1.0 / root);
            close(edm.x0(&level).x * level.alpha, 0.25 / (s * s + 0.25));
            close(edm.x0(&level).output, s * 0.5 / root);
        }
    }

    #[test]
    fn unit_variance_is_v_with_its_sign_turned() {
        let level = schedule::parse("cosine").unwrap().level(321.5);
        let (edm, v) = (Edm { sigma_data: 1.0 }, Prediction::V);
        // Rounding of α² + σ².
        let close = |a: f64, b: f64| assert!((a - b).abs() < 1e-14, "{a} {b}");
        close(edm.input(&level).value, 1.0);
        close(edm.epsilon(&level).output, -v.epsilon(&level).unwrap().output);
        close(edm.epsilon(&level).x, v.epsilon(&level).unwrap().x);
        close(edm.target(&level).0, -v.target(&level).0);
        close(edm.target(&level).1, -v.target(&level).1);
    }

    #[test]
    fn the_rate_of_the_input_is_its_derivative() {
        let (edm, schedule) = (Edm { sigma_data: 0.7 }, schedule::parse("linear").unwrap());
        let (t, h) = (40.5, 1e-4);
        let at = |t: f64| edm.input(&schedule.level(t)).value;
        let difference = (at(t + h) - at(t - h)) / (2.0 * h);
        // h² times a third derivative far below 1, and rounding 1e-16/h.
        assert!((edm.input(&schedule.level(t)).rate - difference).abs() < 1e-10);
    }

    #[test]
    fn what_is_typed_reads_back() {
        assert_eq!("edm".parse::<Edm>().unwrap(), Edm { sigma_data: 0.5 });
        assert_eq!(Edm { sigma_data: 0.31 }.to_string().parse::<Edm>().unwrap(), Edm { sigma_data: 0.31 });
        for wrong in ["edm:sigma-data=0", "edm:sigma-data=x", "edm:rho=7", "edm2"] {
            assert!(wrong.parse::<Edm>().is_err(), "{wrong}");
        }
    }
}

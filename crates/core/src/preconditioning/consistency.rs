//! Consistency models' preconditioning (Song et al., 2023, arXiv 2303.01469, appendix C): EDM's, but for a boundary. At
//! s = σ/α = s₀ the network answers with x itself, whatever F is.
//!
//! With N = α² σ_d² + σ², p = σ − α s₀ and P = p² + α² σ_d²,
//!
//! ```text
//! c_in = 1/√N    c_skip = α σ_d²/P    c_out = p σ_d/√N    hence ε̂ = (p²/(P σ)) x − (α p σ_d/(σ √N)) F
//! ```
//!
//! The answer is where the probability-flow ODE through x comes to at s₀, and no mean over x₀: ε̂ is the direction from there
//! to x, and not the noise that a denoiser would predict. For s₀ = 0 the two are EDM's formulas.

use super::{Edm, Factor};
use crate::error::{Error, Result};
use crate::prediction::Affine;
use crate::schedule::Level;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// The scalings of consistency models.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Consistency {
    /// σ_d, the standard deviation of the data per element; above 0.
    pub sigma_data: f64,
    /// s₀, the noise level of the boundary; 0 or more.
    pub sigma_min: f64,
}

/// p and P with their rates.
struct Boundary {
    p: Factor,
    square: Factor,
}

impl Consistency {
    /// Of the published models.
    pub const PUBLISHED: Consistency = Consistency { sigma_data: 0.5, sigma_min: 0.002 };

    fn boundary(&self, level: &Level) -> Boundary {
        let Level { alpha, sigma, d_alpha, d_sigma } = *level;
        let d2 = self.sigma_data * self.sigma_data;
        let p = Factor { value: sigma - alpha * self.sigma_min, rate: d_sigma - d_alpha * self.sigma_min };
        let value = p.value * p.value + alpha * alpha * d2;
        Boundary { square: Factor { value, rate: 2.0 * (p.value * p.rate + alpha * d_alpha * d2) }, p }
    }

    /// c_in, by which x is multiplied before the network sees it.
    pub fn input(&self, level: &Level) -> Factor {
        Edm { sigma_data: self.sigma_data }.input(level)
    }

    /// ε from F and x, for σ above 0.
    pub fn epsilon(&self, level: &Level) -> Affine {
        let (Boundary { p, square }, c_in) = (self.boundary(level), self.input(level));
        let (p, sigma) = (p.value, level.sigma);
        Affine { output: -level.alpha * p * self.sigma_data * c_in.value / sigma, x: p * p / (square.value * sigma) }
    }

    /// d/dt of [`Consistency::epsilon`]'s two factors, per step.
    pub fn epsilon_rate(&self, level: &Level) -> Affine {
        let Level { alpha, sigma, d_alpha, d_sigma } = *level;
        let (Boundary { p, square }, c_in) = (self.boundary(level), self.input(level));
        let Affine { output, x } = self.epsilon(level);
        // (α p c_in/σ)˙ = (α̇ p c_in + α ṗ c_in + α p ċ_in)/σ − (α p c_in/σ) σ̇/σ
        let product = d_alpha * p.value * c_in.value + alpha * p.rate * c_in.value + alpha * p.value * c_in.rate;
        Affine {
            output: -self.sigma_data * product / sigma - output * d_sigma / sigma,
            x: 2.0 * p.value * p.rate / (square.value * sigma) - x * (square.rate / square.value + d_sigma / sigma),
        }
    }

    /// x₀ from F and x: c_out and c_skip.
    pub fn x0(&self, level: &Level) -> Affine {
        let (Boundary { p, square }, c_in) = (self.boundary(level), self.input(level));
        let d = self.sigma_data;
        Affine { output: p.value * d * c_in.value, x: level.alpha * d * d / square.value }
    }

    /// d/dt of [`Consistency::x0`]'s two factors, per step.
    pub fn x0_rate(&self, level: &Level) -> Affine {
        let (Boundary { p, square }, c_in, d) = (self.boundary(level), self.input(level), self.sigma_data);
        Affine {
            output: d * (p.rate * c_in.value + p.value * c_in.rate),
            x: d * d * (level.d_alpha - level.alpha * square.rate / square.value) / square.value,
        }
    }

    /// What F would be where the answer is x₀, as factors of (x₀, ε); infinite at the boundary.
    pub fn target(&self, level: &Level) -> (f64, f64) {
        let Affine { output, x } = self.x0(level);
        ((1.0 - x * level.alpha) / output, -x * level.sigma / output)
    }
}

impl fmt::Display for Consistency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "consistency:sigma-data={},sigma-min={}", self.sigma_data, self.sigma_min)
    }
}

impl FromStr for Consistency {
    type Err = Error;

    /// `consistency`, or `consistency:sigma-data=0.5,sigma-min=0.002` with any of these left out.
    fn from_str(text: &str) -> Result<Self> {
        let refuse = || {
            let allowed = "consistency takes sigma-data, a number above 0, and sigma-min, 0 or more";
            Error::argument("--prediction", text, allowed, format!("Such as {}.", Consistency::PUBLISHED))
        };
        let (name, pairs) = text.split_once(':').unwrap_or((text, ""));
        let mut found = Consistency::PUBLISHED;
        for pair in pairs.split(',').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').ok_or_else(refuse)?;
            let value: f64 = value.parse().map_err(|_| refuse())?;
            match key {
                "sigma-data" => found.sigma_data = value,
                "sigma-min" => found.sigma_min = value,
                _ => return Err(refuse()),
            }
        }
        let Consistency { sigma_data, sigma_min } = found;
        let sane = sigma_data > 0.0 && sigma_min >= 0.0 && (sigma_data + sigma_min).is_finite();
        if name == "consistency" && sane { Ok(found) } else { Err(refuse()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule;

    /// The paper's scalings, of y = x/α at s = σ/α.
    #[test]
    fn the_scalings_are_those_of_the_paper() {
        let model = Consistency { sigma_data: 0.5, sigma_min: 0.002 };
        for (name, t) in [("edm", 300.0), ("edm", 1.0), ("linear", 3.0), ("flow", 800.0)] {
            let level = schedule::parse(name).unwrap().level(t);
            let s = level.sigma / level.alpha;
            let close = |got: f64, paper: f64| assert!((got / paper - 1.0).abs() < 1e-12, "{name}: {got} {paper}");
            close(model.x0(&level).x * level.alpha, 0.25 / ((s - 0.002).powi(2) + 0.25));
            close(model.x0(&level).output, (s - 0.002) * 0.5 / (s * s + 0.25).sqrt());
        }
        let edge = schedule::parse("edm").unwrap().level(0.0);
        let at_edge = model.x0(&edge);
        assert!((at_edge.x - 1.0).abs() < 1e-15 && at_edge.output.abs() < 1e-15, "{at_edge:?}");
    }

    #[test]
    fn without_a_boundary_it_is_edm() {
        let (model, edm) = (Consistency { sigma_data: 0.7, sigma_min: 0.0 }, Edm { sigma_data: 0.7 });
        let level = schedule::parse("linear").unwrap().level(40.5);
        let close = |a: f64, b: f64| assert!((a / b - 1.0).abs() < 1e-12, "{a} {b}");
        for (ours, theirs) in [
            (model.epsilon(&level), edm.epsilon(&level)),
            (model.epsilon_rate(&level), edm.epsilon_rate(&level)),
            (model.x0(&level), edm.x0(&level)),
        ] {
            close(ours.output, theirs.output);
            close(ours.x, theirs.x);
        }
        close(model.target(&level).1, edm.target(&level).1);
    }

    #[test]
    fn what_is_typed_reads_back() {
        let typed = Consistency { sigma_data: 0.3, sigma_min: 0.01 };
        assert_eq!(typed.to_string().parse::<Consistency>().unwrap(), typed);
        assert_eq!("consistency".parse::<Consistency>().unwrap(), Consistency::PUBLISHED);
        for wrong in ["consistency:sigma-data=0", "consistency:sigma-min=-1", "consistency:rho=7", "consistent"] {
            assert!(wrong.parse::<Consistency>().is_err(), "{wrong}");
        }
    }
}

//! Total noise σ over u in [0, 1], as louaaron/Score-Entropy-Discrete-Diffusion has it:
//!
//! - log-linear: σ = −ln(1 − (1 − eps) u), so that 1 − e^−σ = (1 − eps) u is the part of positions that are masked;
//! - geometric: σ = min^(1−u) max^u.

use crate::error::{Error, Result};
use crate::schedule::Parameters;

/// σ(u).
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Noise {
    /// −ln(1 − (1 − eps) u).
    LogLinear {
        /// What is left of the data at u = 1.
        eps: f64,
    },
    /// min^(1−u) max^u.
    Geometric {
        /// σ at u = 0.
        min: f64,
        /// σ at u = 1.
        max: f64,
    },
}

const EPS: f64 = 1e-3;
const MIN: f64 = 1e-4;
const MAX: f64 = 20.0;

impl Noise {
    /// By `noise`, with `eps` or with `min` and `max`.
    pub(super) fn new(parameters: &Parameters) -> Result<Self> {
        let given = |key: &str| parameters.text(key).is_ok();
        let or = |key: &str, default: f64| if given(key) { parameters.positive(key) } else { Ok(default) };
        let unknown = |key: &str, noise: &str, next: &str| {
            let allowed = format!("`{key}` belongs to the other noise");
            Error::argument("the schedule's noise", noise, allowed, next.to_string())
        };
        match parameters.text("noise")? {
            "log-linear" => {
                if let Some(key) = ["min", "max"].into_iter().find(|key| given(key)) {
                    return Err(unknown(key, "log-linear", "Add noise=geometric, or give eps."));
                }
                let eps = or("eps", EPS)?;
                let next = "Leave it out, for 1e-3.";
                let refuse = || Error::argument("the schedule's eps", eps, "it lies between 0 and 1", next);
                if eps < 1.0 { Ok(Noise::LogLinear { eps }) } else { Err(refuse()) }
            }
            "geometric" => {
                if given("eps") {
                    return Err(unknown("eps", "geometric", "Give min and max, such as min=1e-3,max=20."));
                }
                let (min, max) = (or("min", MIN)?, or("max", MAX)?);
                let next = "Such as noise=geometric,min=1e-3,max=20.";
                let refuse = || Error::argument("the schedule's min", min, format!("it lies below max = {max}"), next);
                if min < max { Ok(Noise::Geometric { min, max }) } else { Err(refuse()) }
            }
            other => Err(Error::argument(
                "the schedule's noise",
                other,
                "it is log-linear or geometric",
                "Such as noise=log-linear,eps=1e-3 or noise=geometric,min=1e-3,max=20.",
            )),
        }
    }

    /// σ.
    pub fn sigma(self, u: f64) -> f64 {
        match self {
            Noise::LogLinear { eps } => -(-(1.0 - eps) * u).ln_1p(),
            Noise::Geometric { min, max } => min * ((max / min).ln() * u).exp(),
        }
    }

    /// dσ/du.
    pub fn rate(self, u: f64) -> f64 {
        match self {
            Noise::LogLinear { eps } => (1.0 - eps) / (1.0 - (1.0 - eps) * u),
            Noise::Geometric { min, max } => (max / min).ln() * self.sigma(u),
        }
    }
}

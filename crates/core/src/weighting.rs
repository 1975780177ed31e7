//! Weights of the loss over timesteps.

use crate::error::Error;
use crate::prediction::Prediction;
use crate::schedule::Level;
use serde::{Serialize, Serializer};
use std::fmt;
use std::str::FromStr;

/// w(t) in E[w(t) · mean((output − target)²)].
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Weighting {
    /// w = 1, the simple loss of DDPM.
    Constant,
    /// min(SNR, γ) on the error of x₀ (Hang et al., arXiv 2303.09556), turned into a weight on the output's error.
    MinSnr {
        /// γ; 5 in the paper.
        gamma: f64,
    },
}

impl Weighting {
    /// w at one level of noise.
    pub fn weight(self, prediction: Prediction, level: &Level) -> f64 {
        let Weighting::MinSnr { gamma } = self else { return 1.0 };
        let (alpha2, sigma2) = (level.alpha * level.alpha, level.sigma * level.sigma);
        // With r = ∂x₀/∂output: w = min(SNR, γ)·r². The forms below stay finite where α or σ is 0.
        match prediction {
            // r² = σ²/α² = 1/SNR
            Prediction::Epsilon | Prediction::Vp | Prediction::Ve | Prediction::Mixed => {
                (gamma * sigma2 / alpha2).min(1.0)
            }
            // r² = σ²/(α² + σ²)²
            Prediction::V => alpha2.min(gamma * sigma2) / (alpha2 + sigma2).powi(2),
            // r = 1
            Prediction::X0 => (alpha2 / sigma2).min(gamma),
            // r² = σ²/(α + σ)²
            Prediction::Flow | Prediction::ReversedFlow => {
                alpha2.min(gamma * sigma2) / (level.alpha + level.sigma).powi(2)
            }
            // r = c_out
            Prediction::Consistency(model) => (alpha2 / sigma2).min(gamma) * model.x0(level).output.powi(2),
            // r² = c_out² = σ² σ_d²/N
            Prediction::Edm(edm) => {
                let (d2, n) = (edm.sigma_data.powi(2), edm.input(level).value.powi(-2));
                alpha2.min(gamma * sigma2) * d2 / n
            }
        }
    }
}

impl fmt::Display for Weighting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Weighting::Constant => f.write_str("constant"),
            Weighting::MinSnr { gamma } => write!(f, "min-snr:gamma={gamma}"),
        }
    }
}

impl Serialize for Weighting {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl FromStr for Weighting {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let gamma = match text {
            "constant" => return Ok(Weighting::Constant),
            "min-snr" => Some(5.0),
            _ => text.strip_prefix("min-snr:gamma=").and_then(|gamma| gamma.parse().ok()),
        };
        match gamma {
            Some(gamma) if gamma > 0.0 && f64::is_finite(gamma) => Ok(Weighting::MinSnr { gamma }),
            _ => Err(Error::argument(
                "--weighting",
                text,
                "it is constant, min-snr or min-snr:gamma=5, with gamma above 0",
                "Choose one of them.",
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::parse;

    #[test]
    fn min_snr_weighs_the_error_of_x0_alike_for_all_predictions() {
        for name in ["linear", "flow", "cosine-zero-terminal-snr"] {
            let schedule = parse(name).unwrap();
            for t in [0.0, 10.0, 300.0, 700.0, 998.0] {
                let level = schedule.level(t);
                let snr = (level.alpha / level.sigma).powi(2);
                for (prediction, _) in Prediction::ALL {
                    let r = prediction.x0(&level).unwrap().output;
                    let weight = Weighting::MinSnr { gamma: 5.0 }.weight(prediction, &level);
                    assert!((weight / (snr.min(5.0) * r * r) - 1.0).abs() < 1e-10, "{name} {t} {prediction}");
                }
            }
        }
    }

    #[test]
    fn it_is_finite_where_nothing_is_left_of_the_signal() {
        let level = parse("linear-zero-terminal-snr").unwrap().level(999.0);
        assert_eq!(Weighting::MinSnr { gamma: 5.0 }.weight(Prediction::Epsilon, &level), 1.0);
        assert_eq!(Weighting::MinSnr { gamma: 5.0 }.weight(Prediction::V, &level), 0.0);
    }

    #[test]
    fn names_are_read_and_written_alike() {
        for text in ["constant", "min-snr:gamma=5", "min-snr:gamma=0.5"] {
            assert_eq!(text.parse::<Weighting>().unwrap().to_string(), text);
        }
        assert!("min-snr:gamma=0".parse::<Weighting>().is_err() && "snr".parse::<Weighting>().is_err());
    }
}

//! Prediction types: what a network's output means, and how it turns into ε and x₀.
//!
//! With x = α x₀ + σ ε every type is affine in the output, ε = a·output + b·x, so that a conversion is two numbers per
//! timestep and its time derivative is two more.
//!
//! | type | output | ε | x₀ |
//! |---|---|---|---|
//! | epsilon | ε | output | (x − σ ε)/α |
//! | v (Salimans & Ho, arXiv 2202.00512) | α ε − σ x₀ | (α v + σ x)/(α² + σ²) | (α x − σ v)/(α² + σ²) |
//! | x0 | x₀ | (x − α x₀)/σ | output |
//! | flow (Lipman et al., arXiv 2210.02747) | u = ε − x₀ | (x + α u)/(α + σ) | (x − σ u)/(α + σ) |
//! | reversed-flow (time from noise to data, as in SiT, arXiv 2401.08740) | −u = x₀ − ε | that of flow | that of flow |
//! | mixed (Vahdat et al., arXiv 2106.05931) | ε − σ x/(α² + σ²) | output + σ x/(α² + σ²) | (x − σ ε)/α |
//! | vp | ε, of x/√(α² + σ²) | output | (x − σ ε)/α |
//! | ve | −ε, of x/α | −output | (x + σ F)/α |
//! | edm, consistency | F, of a scaled input | see [`preconditioning`](crate::preconditioning) | c_skip x + c_out F |

use crate::error::{Error, Result};
use crate::preconditioning::{Consistency, Edm, Factor};
use crate::schedule::Level;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// What the network was trained to output.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Prediction {
    /// The noise ε
    #[default]
    Epsilon,
    /// v = α ε − σ x₀
    V,
    /// The clean sample x₀
    X0,
    /// The flow velocity u = ε − x₀
    Flow,
    /// The flow velocity x₀ − ε, of a time that runs from noise to data
    ReversedFlow,
    /// ε from x scaled to unit variance, x/√(α² + σ²)
    Vp,
    /// −ε from x/α
    Ve,
    /// What is left of ε beside that of N(0, I) data, ε − σ x/(α² + σ²)
    Mixed,
    /// F, with x₀ = c_skip x + c_out F(c_in x)
    Edm(Edm),
    /// The same with the scalings of consistency models
    Consistency(Consistency),
}

/// result = `output`·(network output) + `x`·x.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Affine {
    /// Factor of the network's output.
    pub output: f64,
    /// Factor of x.
    pub x: f64,
}

impl Affine {
    /// The same result from the output with its sign turned.
    fn of_the_negative(self) -> Self {
        Affine { output: -self.output, ..self }
    }
}

impl Prediction {
    /// All types, with what they are; `edm` with its default.
    pub const ALL: [(Prediction, &'static str); 10] = [
        (Prediction::Epsilon, "the noise ε"),
        (Prediction::V, "v = α ε − σ x₀"),
        (Prediction::X0, "the clean sample x₀"),
        (Prediction::Flow, "the flow velocity u = ε − x₀"),
        (Prediction::ReversedFlow, "the flow velocity x₀ − ε, where time runs from noise to data"),
        (Prediction::Vp, "the noise ε, from x/√(α² + σ²) (EDM's table 1: VP and iDDPM)"),
        (Prediction::Ve, "−ε, from x/α (EDM's table 1: VE)"),
        (Prediction::Mixed, "ε less what N(0, I) data would give it, ε − σ x/(α² + σ²); of cld ε_v − L_vv v/Σ_vv"),
        (Prediction::Edm(Edm { sigma_data: 0.5 }), "F, with x₀ = c_skip x + c_out F(c_in x); edm:sigma-data=0.5"),
        (
            Prediction::Consistency(Consistency::PUBLISHED),
            "the same of consistency models; consistency:sigma-data=0.5,sigma-min=0.002",
        ),
    ];

    /// Name as it is typed, without parameters.
    pub fn name(self) -> &'static str {
        match self {
            Prediction::Epsilon => "epsilon",
            Prediction::V => "v",
            Prediction::X0 => "x0",
            Prediction::Flow => "flow",
            Prediction::ReversedFlow => "reversed-flow",
            Prediction::Vp => "vp",
            Prediction::Ve => "ve",
            Prediction::Mixed => "mixed",
            Prediction::Edm(_) => "edm",
            Prediction::Consistency(_) => "consistency",
        }
    }

    /// By what x is multiplied before the network sees it; `None` where it sees x itself.
    pub fn input(self, level: &Level) -> Option<Factor> {
        match self {
            Prediction::Vp => Some(Factor::unit_variance(level)),
            Prediction::Ve => Some(Factor::unit_signal(level)),
            Prediction::Edm(edm) => Some(edm.input(level)),
            Prediction::Consistency(model) => Some(model.input(level)),
            _ => None,
        }
    }

    /// Whether the network sees another x at another t.
    pub fn scales_input(self) -> bool {
        !matches!(self, Prediction::Epsilon | Prediction::V | Prediction::X0 | Prediction::Flow | Prediction::Mixed)
    }

    /// Whether the output tells of the noise alone, whatever its sign and its input: then x₀ does not follow where α = 0.
    pub fn is_noise(self) -> bool {
        matches!(self, Prediction::Epsilon | Prediction::Vp | Prediction::Ve | Prediction::Mixed)
    }

    /// Whether ε is anything else than the output or its negative, so that the way from one to the other moves with t.
    pub fn converts(self) -> bool {
        !matches!(self, Prediction::Epsilon | Prediction::Vp | Prediction::Ve)
    }

    /// What the output should be, as factors of (x₀, ε).
    pub fn target(self, level: &Level) -> (f64, f64) {
        match self {
            Prediction::Epsilon | Prediction::Vp => (0.0, 1.0),
            Prediction::Ve => (0.0, -1.0),
            Prediction::Mixed => {
                let Level { alpha, sigma, .. } = *level;
                let norm = alpha * alpha + sigma * sigma;
                (-sigma * alpha / norm, alpha * alpha / norm)
            }
            Prediction::V => (-level.sigma, level.alpha),
            Prediction::X0 => (1.0, 0.0),
            Prediction::Flow => (-1.0, 1.0),
            Prediction::ReversedFlow => (1.0, -1.0),
            Prediction::Edm(edm) => edm.target(level),
            Prediction::Consistency(model) => model.target(level),
        }
    }

    /// ε from the output. Refused for `x0` where σ = 0: there x holds no noise to predict.
    pub fn epsilon(self, level: &Level) -> Result<Affine> {
        let Level { alpha, sigma, .. } = *level;
        let norm = alpha * alpha + sigma * sigma;
        match self {
            Prediction::Epsilon | Prediction::Vp => Ok(Affine { output: 1.0, x: 0.0 }),
            Prediction::Ve => Ok(Affine { output: -1.0, x: 0.0 }),
            Prediction::Mixed => Ok(Affine { output: 1.0, x: sigma / norm }),
            Prediction::V => Ok(Affine { output: alpha / norm, x: sigma / norm }),
            Prediction::X0 | Prediction::Consistency(_) if sigma == 0.0 => Err(undefined("epsilon", self, "σ")),
            Prediction::X0 => Ok(Affine { output: -alpha / sigma, x: 1.0 / sigma }),
            Prediction::Flow => Ok(Affine { output: alpha / (alpha + sigma), x: 1.0 / (alpha + sigma) }),
            Prediction::ReversedFlow => Prediction::Flow.epsilon(level).map(Affine::of_the_negative),
            Prediction::Edm(edm) => Ok(edm.epsilon(level)),
            Prediction::Consistency(model) => Ok(model.epsilon(level)),
        }
    }

    /// d/dt of [`Prediction::epsilon`]'s two factors, per step.
    pub fn epsilon_rate(self, level: &Level) -> Result<Affine> {
        let Level { alpha, sigma, d_alpha, d_sigma } = *level;
        let Affine { output, x } = self.epsilon(level)?;
        Ok(match self {
            Prediction::Epsilon | Prediction::Vp | Prediction::Ve => Affine { output: 0.0, x: 0.0 },
            Prediction::Mixed => {
                let norm = alpha * alpha + sigma * sigma;
                let d_norm = 2.0 * (alpha * d_alpha + sigma * d_sigma);
                Affine { output: 0.0, x: (d_sigma - x * d_norm) / norm }
            }
            Prediction::V => {
                // N = α² + σ², Ṅ = 2(αα̇ + σσ̇); (α/N)˙ = (α̇ − (α/N)·Ṅ)/N, likewise for σ
                let norm = alpha * alpha + sigma * sigma;
                let d_norm = 2.0 * (alpha * d_alpha + sigma * d_sigma);
                Affine { output: (d_alpha - output * d_norm) / norm, x: (d_sigma - x * d_norm) / norm }
            }
            Prediction::X0 => {
                Affine { output: -(d_alpha * sigma - alpha * d_sigma) / (sigma * sigma), x: -d_sigma / (sigma * sigma) }
            }
            Prediction::Flow => {
                let (sum, d_sum) = (alpha + sigma, d_alpha + d_sigma);
                Affine { output: (d_alpha - output * d_sum) / sum, x: -x * d_sum / sum }
            }
            Prediction::ReversedFlow => Prediction::Flow.epsilon_rate(level)?.of_the_negative(),
            Prediction::Edm(edm) => edm.epsilon_rate(level),
            Prediction::Consistency(model) => model.epsilon_rate(level),
        })
    }

    /// x₀ from the output. Refused for noise where α = 0: there x holds no signal.
    pub fn x0(self, level: &Level) -> Result<Affine> {
        let Level { alpha, sigma, .. } = *level;
        let norm = alpha * alpha + sigma * sigma;
        match self {
            _ if alpha == 0.0 && self.is_noise() => Err(undefined("x0", self, "α")),
            Prediction::Epsilon | Prediction::Vp => Ok(Affine { output: -sigma / alpha, x: 1.0 / alpha }),
            Prediction::Ve => Ok(Affine { output: sigma / alpha, x: 1.0 / alpha }),
            // (x − σ (F + σ x/N))/α, where x keeps α²/N of itself.
            Prediction::Mixed => Ok(Affine { output: -sigma / alpha, x: alpha / norm }),
            Prediction::V => Ok(Affine { output: -sigma / norm, x: alpha / norm }),
            Prediction::X0 => Ok(Affine { output: 1.0, x: 0.0 }),
            Prediction::Flow => Ok(Affine { output: -sigma / (alpha + sigma), x: 1.0 / (alpha + sigma) }),
            Prediction::ReversedFlow => Prediction::Flow.x0(level).map(Affine::of_the_negative),
            Prediction::Edm(edm) => Ok(edm.x0(level)),
            Prediction::Consistency(model) => Ok(model.x0(level)),
        }
    }
}

impl Prediction {
    /// d/dt of [`Prediction::x0`]'s two factors, per step.
    pub fn x0_rate(self, level: &Level) -> Result<Affine> {
        let Level { alpha, sigma, d_alpha, d_sigma } = *level;
        let Affine { output, x } = self.x0(level)?;
        Ok(match self {
            // (1/α)˙ = −α̇/α²; the factor of the output is ∓σ/α
            Prediction::Epsilon | Prediction::Vp => {
                Affine { output: -(d_sigma + output * d_alpha) / alpha, x: -x * d_alpha / alpha }
            }
            Prediction::Ve => Affine { output: (d_sigma - output * d_alpha) / alpha, x: -x * d_alpha / alpha },
            Prediction::Mixed => {
                let norm = alpha * alpha + sigma * sigma;
                let d_norm = 2.0 * (alpha * d_alpha + sigma * d_sigma);
                Affine { output: -(d_sigma + output * d_alpha) / alpha, x: (d_alpha - x * d_norm) / norm }
            }
            Prediction::V => {
                let norm = alpha * alpha + sigma * sigma;
                let d_norm = 2.0 * (alpha * d_alpha + sigma * d_sigma);
                Affine { output: -(d_sigma + output * d_norm) / norm, x: (d_alpha - x * d_norm) / norm }
            }
            Prediction::X0 => Affine { output: 0.0, x: 0.0 },
            Prediction::Flow => {
                let (sum, d_sum) = (alpha + sigma, d_alpha + d_sigma);
                Affine { output: -(d_sigma + output * d_sum) / sum, x: -x * d_sum / sum }
            }
            Prediction::ReversedFlow => Prediction::Flow.x0_rate(level)?.of_the_negative(),
            Prediction::Edm(edm) => edm.x0_rate(level),
            Prediction::Consistency(model) => model.x0_rate(level),
        })
    }
}

fn undefined(wanted: &str, prediction: Prediction, zero: &str) -> Error {
    Error::mismatch(
        format!("{wanted} cannot be computed from a network that predicts {prediction} at a timestep where {zero} = 0"),
        "Leave that timestep out with --timesteps, or check --schedule and --prediction.",
    )
}

impl fmt::Display for Prediction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Prediction::Edm(edm) => edm.fmt(f),
            Prediction::Consistency(model) => model.fmt(f),
            plain => f.write_str(plain.name()),
        }
    }
}

impl FromStr for Prediction {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text.split(':').next() {
            Some("edm") => return text.parse().map(Prediction::Edm),
            Some("consistency") => return text.parse().map(Prediction::Consistency),
            _ => {}
        }
        let known = Prediction::ALL.into_iter().map(|(prediction, _)| prediction);
        known.into_iter().find(|prediction| prediction.name() == text).ok_or_else(|| {
            Error::argument(
                "--prediction",
                text,
                format!("it is one of {}", Prediction::ALL.map(|(prediction, _)| prediction.name()).join(", ")),
                "Choose one of them.",
            )
        })
    }
}

impl From<Prediction> for String {
    fn from(prediction: Prediction) -> Self {
        prediction.to_string()
    }
}

impl TryFrom<String> for Prediction {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule;

    fn level(name: &str, t: f64) -> Level {
        schedule::parse(name).unwrap().level(t)
    }

    /// The output of an exact network of each type, from x₀ and ε.
    fn output(prediction: Prediction, level: &Level, x0: f64, epsilon: f64) -> f64 {
        match prediction {
            Prediction::Epsilon | Prediction::Vp => epsilon,
            Prediction::Ve => -epsilon,
            Prediction::Mixed => {
                let Level { alpha, sigma, .. } = *level;
                epsilon - sigma * (alpha * x0 + sigma * epsilon) / (alpha * alpha + sigma * sigma)
            }
            Prediction::V => level.alpha * epsilon - level.sigma * x0,
            Prediction::X0 => x0,
            Prediction::Flow => epsilon - x0,
            Prediction::ReversedFlow => x0 - epsilon,
            // EDM's training target: (x₀ − c_skip x)/c_out.
            Prediction::Edm(_) | Prediction::Consistency(_) => {
                let Affine { output, x } = prediction.x0(level).unwrap();
                (x0 - x * (level.alpha * x0 + level.sigma * epsilon)) / output
            }
        }
    }

    #[test]
    fn all_types_give_the_same_epsilon_and_x0() {
        let (x0, epsilon) = (0.7, -1.3);
        for name in ["linear", "cosine", "trigflow", "flow"] {
            for t in [0.0, 10.0, 500.0, 998.0] {
                let level = level(name, t);
                let x = level.alpha * x0 + level.sigma * epsilon;
                for (prediction, _) in Prediction::ALL {
                    let out = output(prediction, &level, x0, epsilon);
                    let to = |affine: Affine| affine.output * out + affine.x * x;
                    // Dividing by σ or α magnifies the rounding of x.
                    let tolerance = 1e-14 / level.sigma.min(level.alpha);
                    assert!(
                        (to(prediction.epsilon(&level).unwrap()) - epsilon).abs() < tolerance,
                        "{name} {prediction} {t}"
                    );
                    assert!((to(prediction.x0(&level).unwrap()) - x0).abs() < tolerance, "{name} {prediction} {t}");
                }
            }
        }
    }

    #[test]
    fn rates_match_central_differences() {
        for name in ["linear", "trigflow", "flow"] {
            let times = [3.4, 60.5, 120.3, 700.6, 500.8, 40.2, 5.5, 210.3, 40.2, 300.7];
            assert_eq!(times.len(), Prediction::ALL.len());
            for ((prediction, _), t) in Prediction::ALL.into_iter().zip(times) {
                let h = 1e-4;
                let at = |t: f64| prediction.epsilon(&level(name, t)).unwrap();
                let rate = prediction.epsilon_rate(&level(name, t)).unwrap();
                let difference = |f: fn(Affine) -> f64| (f(at(t + h)) - f(at(t - h))) / (2.0 * h);
                assert!((rate.output - difference(|a| a.output)).abs() < 1e-8 * (1.0 + rate.output.abs()));
                assert!((rate.x - difference(|a| a.x)).abs() < 1e-8 * (1.0 + rate.x.abs()));
                let at = |t: f64| prediction.x0(&level(name, t)).unwrap();
                let rate = prediction.x0_rate(&level(name, t)).unwrap();
                let difference = |f: fn(Affine) -> f64| (f(at(t + h)) - f(at(t - h))) / (2.0 * h);
                assert!(
                    (rate.output - difference(|a| a.output)).abs() < 1e-8 * (1.0 + rate.output.abs()),
                    "{prediction}"
                );
                assert!((rate.x - difference(|a| a.x)).abs() < 1e-8 * (1.0 + rate.x.abs()), "{prediction}");
            }
        }
    }

    #[test]
    fn zeros_are_guarded() {
        use Prediction::{Epsilon, Flow, V, X0};
        let clean = Level { alpha: 1.0, sigma: 0.0, d_alpha: 0.0, d_sigma: 0.0 };
        let noise = Level { alpha: 0.0, sigma: 1.0, d_alpha: 0.0, d_sigma: 0.0 };
        // Factors of (output, x). Where σ = 0, x = x₀, v = ε and u = ε − x; where α = 0, x = ε, v = −x₀ and u = x − x₀.
        let factors = |affine: Result<Affine>| affine.ok().map(|affine| (affine.output, affine.x));
        for (prediction, at_clean, at_noise) in [
            (Epsilon, Some((1.0, 0.0)), Some((1.0, 0.0))),
            (V, Some((1.0, 0.0)), Some((0.0, 1.0))),
            (X0, None, Some((0.0, 1.0))),
            (Flow, Some((1.0, 1.0)), Some((0.0, 1.0))),
        ] {
            assert_eq!(factors(prediction.epsilon(&clean)), at_clean, "ε from {prediction} where σ = 0");
            assert_eq!(factors(prediction.epsilon(&noise)), at_noise, "ε from {prediction} where α = 0");
        }
        for (prediction, at_clean, at_noise) in [
            (Epsilon, Some((0.0, 1.0)), None),
            (V, Some((0.0, 1.0)), Some((-1.0, 0.0))),
            (X0, Some((1.0, 0.0)), Some((1.0, 0.0))),
            (Flow, Some((0.0, 1.0)), Some((-1.0, 1.0))),
        ] {
            assert_eq!(factors(prediction.x0(&clean)), at_clean, "x₀ from {prediction} where σ = 0");
            assert_eq!(factors(prediction.x0(&noise)), at_noise, "x₀ from {prediction} where α = 0");
        }
        let refused = X0.epsilon(&clean).unwrap_err().to_string();
        assert!(refused.contains("epsilon") && refused.contains("σ = 0"), "{refused}");
        let refused = Epsilon.x0(&noise).unwrap_err().to_string();
        assert!(refused.contains("x0") && refused.contains("α = 0"), "{refused}");
    }

    /// What a network is trained to output must convert back to the ε and x₀ that x was made of.
    #[test]
    fn targets_convert_back_to_noise_and_sample() {
        for name in ["linear", "flow"] {
            let level = crate::schedule::parse(name).unwrap().level(300.0);
            let (x0, noise) = (0.7, -1.3);
            let x = level.alpha * x0 + level.sigma * noise;
            for (prediction, _) in Prediction::ALL {
                let (a, b) = prediction.target(&level);
                let back = |affine: Affine| affine.output * (a * x0 + b * noise) + affine.x * x;
                assert!((back(prediction.epsilon(&level).unwrap()) - noise).abs() < 1e-12, "{name} {prediction}");
                assert!((back(prediction.x0(&level).unwrap()) - x0).abs() < 1e-12, "{name} {prediction}");
            }
        }
    }
}

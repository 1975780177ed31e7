//! Time and its axes. K and ∂ε/∂t are not invariant under a change of the time variable, so the axis is part of
//! every number.

use crate::error::{Error, Result};
use crate::preconditioning::CNoise;
use crate::schedule::NoiseSchedule;
use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

pub use crate::schedule::Timestep;

/// A time variable a(t).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Axis {
    /// a = t, in steps
    #[default]
    Step,
    /// a = (t + 1)/T: 0 is the clean sample, 1 the last step
    Unit,
    /// a = σ_t
    Sigma,
    /// a = λ_t = ln(α²/σ²)
    LogSnr,
    /// a = s(t), the argument of --schedule none
    Argument,
}

impl Axis {
    /// All axes, in the order in which they are documented.
    pub const ALL: [Axis; 5] = [Axis::Step, Axis::Unit, Axis::Sigma, Axis::LogSnr, Axis::Argument];

    /// a(t); NaN for the argument, which a noise schedule does not have.
    pub fn coordinate(self, schedule: &dyn NoiseSchedule, t: Timestep) -> f64 {
        match self {
            Axis::Step => t,
            Axis::Unit => (t + 1.0) / schedule.timesteps() as f64,
            Axis::Sigma => schedule.sigma(t),
            Axis::LogSnr => schedule.log_snr(t),
            Axis::Argument => f64::NAN,
        }
    }

    /// da/dt; NaN for the argument.
    pub fn rate(self, schedule: &dyn NoiseSchedule, t: Timestep) -> f64 {
        match self {
            Axis::Step => 1.0,
            Axis::Unit => 1.0 / schedule.timesteps() as f64,
            Axis::Sigma => schedule.d_sigma_dt(t),
            Axis::LogSnr => schedule.d_log_snr_dt(t),
            Axis::Argument => f64::NAN,
        }
    }

    /// Unit of a change of ε per change of this axis.
    pub fn unit(self) -> &'static str {
        match self {
            Axis::Step => "1/step",
            Axis::Unit => "1/unit time",
            Axis::Sigma => "1/σ",
            Axis::LogSnr => "1/log-SNR",
            Axis::Argument => "1/argument",
        }
    }

    /// What stands for it in a formula.
    pub fn symbol(self) -> &'static str {
        match self {
            Axis::Step => "t",
            Axis::Unit => "(t/T)",
            Axis::Sigma => "σ",
            Axis::LogSnr => "λ",
            Axis::Argument => "s",
        }
    }

    /// Name as it is typed.
    pub fn name(self) -> &'static str {
        match self {
            Axis::Step => "step",
            Axis::Unit => "unit",
            Axis::Sigma => "sigma",
            Axis::LogSnr => "log-snr",
            Axis::Argument => "argument",
        }
    }
}

/// The number that a network gets for t.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Conditioning {
    /// An axis, times a factor, plus an offset. `step` is the usual one. A network with a time embedding made for 0 … T takes
    /// σ as `sigma*1000`: its fastest sinusoid turns by one radian per unit, and would hardly tell the σ in [0, 1] apart. One
    /// whose time runs from noise to data takes `1-unit`.
    Axis {
        /// The time variable.
        axis: Axis,
        /// What it is multiplied by.
        factor: f64,
        /// What is added to the product.
        offset: f64,
    },
    /// ln((t + 1)/T), of networks in continuous time whose features are of the logarithm.
    LogUnit,
    /// c_noise of a preconditioning, a function of σ/α.
    Noise(CNoise),
}

/// How [`Conditioning::LogUnit`] is typed.
const LOG_UNIT: &str = "ln-unit";

impl Default for Conditioning {
    fn default() -> Self {
        Conditioning::scaled(Axis::Step, 1.0)
    }
}

impl Conditioning {
    /// EDM's c_noise = ln(σ/α)/4 = −λ/8 (arXiv 2206.00364, table 1, with its σ the ratio of ours to α).
    pub const EDM: Conditioning = Conditioning::scaled(Axis::LogSnr, -0.125);

    /// An axis, times a factor.
    pub const fn scaled(axis: Axis, factor: f64) -> Self {
        Conditioning::Axis { axis, factor, offset: 0.0 }
    }

    /// The number that stands for t.
    pub fn coordinate(self, schedule: &dyn NoiseSchedule, t: Timestep) -> f64 {
        // A schedule has all of them.
        self.of_axes(|axis| Some(axis.coordinate(schedule, t)), Some(schedule), t).unwrap_or(f64::NAN)
    }

    /// The same from the coordinates a(t) of a process, which may lack some, and its schedule where there is one; `None` where
    /// the number does not exist.
    pub fn of_axes(
        self,
        a: impl Fn(Axis) -> Option<f64>,
        schedule: Option<&dyn NoiseSchedule>,
        t: Timestep,
    ) -> Option<f64> {
        match self {
            Conditioning::Axis { axis, factor, offset } => a(axis).map(|a| offset + factor * a),
            Conditioning::LogUnit => a(Axis::Unit).map(f64::ln),
            Conditioning::Noise(c_noise) => schedule.map(|schedule| c_noise.at(schedule, t).value),
        }
    }

    /// The numbers for the first timestep and for the middle one, which a trained network tells apart.
    pub fn probes(self, schedule: &dyn NoiseSchedule) -> [f64; 2] {
        let middle = (schedule.timesteps() / 2) as f64;
        [self.coordinate(schedule, 0.0), self.coordinate(schedule, middle)]
    }
}

impl fmt::Display for Conditioning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (axis, factor, offset) = match *self {
            Conditioning::Axis { axis, factor, offset } => (axis, factor, offset),
            Conditioning::LogUnit => return f.write_str(LOG_UNIT),
            Conditioning::Noise(c_noise) => return c_noise.fmt(f),
        };
        let factor = if offset == 0.0 {
            factor
        } else {
            write!(f, "{offset}-")?;
            -factor
        };
        if factor == 1.0 { axis.fmt(f) } else { write!(f, "{axis}*{factor}") }
    }
}

impl FromStr for Conditioning {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        if text == LOG_UNIT {
            return Ok(Conditioning::LogUnit);
        }
        if text == "c-noise" {
            return Ok(Conditioning::EDM);
        }
        if let Some(factor) = text.strip_prefix("c-noise*") {
            // OpenAI's consistency models get a thousand times EDM's.
            let factor = factor.parse::<f64>().ok().filter(|factor| factor.is_finite() && *factor != 0.0);
            let allowed = "c-noise takes a factor other than 0";
            let refuse = || Error::argument("--time-input", text, allowed, "Such as c-noise*1000.");
            return Ok(Conditioning::scaled(Axis::LogSnr, -0.125 * factor.ok_or_else(refuse)?));
        }
        if text.starts_with("c-noise") {
            return text.parse().map(Conditioning::Noise);
        }
        let (offset, product) = offset(text);
        let (axis, factor) = product.split_once('*').unwrap_or((product, "1"));
        let factor = factor.parse::<f64>().ok().filter(|factor| factor.is_finite() && *factor != 0.0);
        match (factor, offset) {
            (Some(factor), None) => Ok(Conditioning::scaled(axis.parse()?, factor)),
            (Some(factor), Some(offset)) => Ok(Conditioning::Axis { axis: axis.parse()?, factor: -factor, offset }),
            (None, _) => Err(Error::argument(
                "the condition",
                text,
                "it is an axis, one with a factor other than 0, or a number minus one of these",
                "Such as step, sigma*1000, or 1-unit.",
            )),
        }
    }
}

/// The number before a minus sign, and what is behind it: `1-unit`, but not `log-snr`.
fn offset(text: &str) -> (Option<f64>, &str) {
    let minus = text.match_indices('-').map(|(place, _)| place);
    let split = |place: usize| {
        let offset: f64 = text[..place].parse().ok()?;
        offset.is_finite().then_some((Some(offset), &text[place + 1..]))
    };
    minus.into_iter().find_map(split).unwrap_or((None, text))
}

impl fmt::Display for Axis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Axis {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Axis::ALL.into_iter().find(|axis| axis.name() == text).ok_or_else(|| {
            Error::argument(
                "the axis",
                text,
                "it is one of step, unit, sigma, log-snr, argument",
                "Choose one of them.",
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule;

    #[test]
    fn what_is_typed_is_what_is_shown() {
        for text in
            ["step", "sigma*1000", "log-snr", "log-snr*-0.125", "1-unit", "1000-unit*1000", "0.5-log-snr*-2", "ln-unit"]
        {
            assert_eq!(text.parse::<Conditioning>().unwrap().to_string(), text);
        }
        assert_eq!("c-noise".parse::<Conditioning>().unwrap().to_string(), "log-snr*-0.125");
        for text in ["sigma*0", "1-", "unit-1", "1-unit*x", "inf-unit", "1-time"] {
            assert!(text.parse::<Conditioning>().is_err(), "{text}");
        }
    }

    #[test]
    fn time_may_run_the_other_way() {
        let flow = schedule::parse("flow").unwrap();
        let number = |text: &str, t: f64| text.parse::<Conditioning>().unwrap().coordinate(&*flow, t);
        assert_eq!([number("1-unit", -1.0), number("1-unit", 249.0), number("1-unit", 999.0)], [1.0, 0.75, 0.0]);
        assert_eq!(number("1000-unit*1000", 249.0), 750.0);
        assert_eq!(Conditioning::LogUnit.coordinate(&*flow, 249.0), 0.25f64.ln());
    }
}

//! c_noise of the preconditionings of score-based models: the number that the network gets for s = σ/α.
//!
//! - VP: (M − 1) u, where u is the time at which the SDE with β from β_min to β_max has this s:
//!   u = (√(β_min² + 2 β_d L) − β_min)/β_d with L = ln(1 + s²), β_d = β_max − β_min;
//! - VE: ln(s/2).
//!
//! EDM's ln(s)/4 is −λ/8, which needs no name of its own.

use super::Factor;
use crate::error::{Error, Result};
use crate::schedule::{NoiseSchedule, Timestep};
use std::fmt;
use std::str::FromStr;

/// c_noise as a function of s = σ/α, whatever the schedule.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum CNoise {
    /// Of the variance-preserving SDE.
    Vp {
        /// β at the clean sample, above 0.
        beta_min: f64,
        /// β at the noise, above β_min.
        beta_max: f64,
        /// M, the number of timesteps that t is scaled to; at least 2.
        steps: f64,
    },
    /// Of the variance-exploding SDE.
    Ve,
}

const VP: CNoise = CNoise::Vp { beta_min: 0.1, beta_max: 20.0, steps: 1000.0 };

impl CNoise {
    /// c_noise at t, with its rate per step.
    pub fn at(self, schedule: &dyn NoiseSchedule, t: Timestep) -> Factor {
        let (log_snr, rate) = (schedule.log_snr(t), schedule.d_log_snr_dt(t));
        match self {
            // ln s = −λ/2
            CNoise::Ve => Factor { value: -0.5 * log_snr - std::f64::consts::LN_2, rate: -0.5 * rate },
            CNoise::Vp { beta_min, beta_max, steps } => {
                // s² = e^(−λ), hence dL/dλ = −s²/(1 + s²)
                let s2 = (-log_snr).exp();
                let slope = beta_max - beta_min;
                let root = (beta_min * beta_min + 2.0 * slope * s2.ln_1p()).sqrt();
                let factor = steps - 1.0;
                Factor { value: factor * (root - beta_min) / slope, rate: -factor * rate * s2 / (1.0 + s2) / root }
            }
        }
    }
}

impl fmt::Display for CNoise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CNoise::Ve => f.write_str("c-noise-ve"),
            CNoise::Vp { beta_min, beta_max, steps } => {
                write!(f, "c-noise-vp:beta-min={beta_min},beta-max={beta_max},steps={steps}")
            }
        }
    }
}

impl FromStr for CNoise {
    type Err = Error;

    /// `c-noise-ve`, or `c-noise-vp:beta-min=0.1,beta-max=20,steps=1000` with any of these left out.
    fn from_str(text: &str) -> Result<Self> {
        let refuse = || {
            let allowed = "it is c-noise-ve, or c-noise-vp with 0 < beta-min < beta-max and steps above 1";
            Error::argument("--time-input", text, allowed, format!("Such as {VP}."))
        };
        let (name, pairs) = text.split_once(':').unwrap_or((text, ""));
        let CNoise::Vp { mut beta_min, mut beta_max, mut steps } = VP else { return Err(refuse()) };
        for pair in pairs.split(',').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').ok_or_else(refuse)?;
            let place = match key {
                "beta-min" => &mut beta_min,
                "beta-max" => &mut beta_max,
                "steps" => &mut steps,
                _ => return Err(refuse()),
            };
            *place = value.parse().map_err(|_| refuse())?;
        }
        let sane = beta_min > 0.0 && beta_max > beta_min && steps > 1.0 && (beta_max + steps).is_finite();
        match name {
            "c-noise-ve" if pairs.is_empty() => Ok(CNoise::Ve),
            "c-noise-vp" if sane => Ok(CNoise::Vp { beta_min, beta_max, steps }),
            _ => Err(refuse()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::parse;

    /// Under its own schedule c_noise of VP is (M − 1)(t + 1)/T, and s under `ve` is σ.
    #[test]
    fn they_invert_their_own_schedules() {
        let close =
            |got: f64, expected: f64| assert!((got - expected).abs() < 1e-9 * expected.abs(), "{got} {expected}");
        let (vp, ve) = (parse("vp").unwrap(), parse("ve:sigma-min=0.02,sigma-max=100").unwrap());
        for t in [0.0, 10.5, 500.0, 999.0] {
            // Near 0 the root and β_min cancel to a thousandth.
            let found = VP.at(&*vp, t);
            close(found.value, 0.999 * (t + 1.0));
            close(found.rate, 0.999);
            close(CNoise::Ve.at(&*ve, t).value, (0.5 * ve.sigma(t)).ln());
        }
    }

    #[test]
    fn rates_are_derivatives_under_any_schedule() {
        for (c_noise, name) in [(VP, "edm"), (VP, "cosine"), (CNoise::Ve, "linear"), (CNoise::Ve, "ve")] {
            let schedule = parse(name).unwrap();
            let (t, h) = (400.3, 1e-3);
            let at = |t: f64| c_noise.at(&*schedule, t).value;
            let difference = (at(t + h) - at(t - h)) / (2.0 * h);
            let rate = c_noise.at(&*schedule, t).rate;
            // Rounding 1e-13/h of values up to 1000, and h² times a third derivative below 1e-5.
            assert!(
                (rate - difference).abs() < 1e-9 * (1.0 + rate.abs()),
                "{c_noise} under {name}: {rate} {difference}"
            );
        }
    }

    #[test]
    fn what_is_typed_reads_back() {
        for text in ["c-noise-ve", "c-noise-vp:beta-min=0.2,beta-max=10,steps=500"] {
            assert_eq!(text.parse::<CNoise>().unwrap().to_string(), text);
        }
        assert_eq!("c-noise-vp".parse::<CNoise>().unwrap(), VP);
        for wrong in ["c-noise-vp:beta-min=0", "c-noise-vp:M=3", "c-noise-ve:steps=2", "c-noise-vp:beta-min=30", "vp"] {
            assert!(wrong.parse::<CNoise>().is_err(), "{wrong}");
        }
    }
}

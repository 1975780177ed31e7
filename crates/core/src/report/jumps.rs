//! What a curve of total reverse rates R comes to: the steps of a uniformization sampler, and whether R is calibrated.

use super::table::number;
use serde::{Deserialize, Serialize};

/// Expected steps of a uniformization sampler that bounds R by its supremum, or by a quantile, at every σ: ∫ R dσ, the same
/// for every schedule.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Uniformization {
    /// ∫ max R dσ.
    pub expected_steps_sup: f64,
    /// ∫ q₉₉.₉ R dσ; `None` where quantiles are not known.
    pub expected_steps_q999: Option<f64>,
    /// ∫ E R dσ: jumps that the reverse process makes, by the process alone.
    pub expected_jumps: f64,
    /// First and last σ.
    pub from: f64,
    /// Last σ.
    pub to: f64,
    /// Whether the maximum is that over all states; that over samples is a lower bound of it.
    pub exact: bool,
}

/// E R over q_t is fixed by the forward process, whatever the data: a check of a learned model.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// The mean of E R over the timesteps of the check.
    pub expected_mean_rate: f64,
    /// The mean of what was measured there.
    pub measured: f64,
    /// Their difference in standard errors; `None` of an expectation over all states.
    pub z: Option<f64>,
    /// Under masking, where R is fixed in every state: by which part it is off in the worst state of all samples.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worst_state: Option<f64>,
    /// Timesteps of the check: those at which enough samples jumped.
    pub timesteps: u64,
    /// Timesteps that were measured.
    pub of: u64,
}

/// More standard errors than chance brings about.
const FAR: f64 = 4.0;
/// Standard errors that are not counted any more.
const MANY: f64 = 99.0;
/// A relative difference that matters to no sampler.
const SMALL: f64 = 1e-3;

impl Uniformization {
    /// What a sampler pays.
    pub(super) fn reading(&self) -> String {
        let figure = |value: f64| number(Some(value));
        let bound = if self.exact { "the supremum of R" } else { "the largest R seen, a lower bound of its supremum" };
        let quantile = self.expected_steps_q999.map(|steps| format!(", {} at its 99.9 % quantile", figure(steps)));
        format!(
            "uniformization from σ = {} to {} takes {} steps at {bound}{}, for {} jumps",
            figure(self.to),
            figure(self.from),
            figure(self.expected_steps_sup),
            quantile.unwrap_or_default(),
            figure(self.expected_jumps)
        )
    }
}

impl Calibration {
    /// Whether the mean rate is what it must be; `None` of an expectation over all states, where it always is.
    pub(super) fn reading(&self) -> Option<String> {
        let z = self.z?;
        let off = self.measured / self.expected_mean_rate - 1.0;
        let verdict = if z.abs() <= FAR {
            "calibrated, as far as these samples tell".to_string()
        } else if off.abs() < SMALL {
            format!("calibrated to {:.2} %", 100.0 * off.abs())
        } else {
            let side = if off > 0.0 { "too often" } else { "too seldom" };
            format!("not calibrated: the model jumps {side} by {:.1} %", 100.0 * off.abs())
        };
        let of_state = self
            .worst_state
            .map(|off| format!("; in single states it is off by up to {} %", number(Some(100.0 * off))));
        let of_state = of_state.unwrap_or_default();
        Some(format!(
            "E R is {} where the forward process fixes it at {} ({}, {} of {} timesteps): {verdict}{of_state}",
            number(Some(self.measured)),
            number(Some(self.expected_mean_rate)),
            if z.abs() > MANY { format!("|z| > {MANY}") } else { format!("z = {z:.1}").replace('-', "−") },
            self.timesteps,
            self.of
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_say_what_they_are_bounded_by() {
        let exact = Uniformization {
            expected_steps_sup: 21.934,
            expected_steps_q999: Some(18.2),
            expected_jumps: 9.995,
            from: 0.001,
            to: 2.0,
            exact: true,
        };
        assert_eq!(
            exact.reading(),
            "uniformization from σ = 2.00 to 0.00100 takes 21.9 steps at the supremum of R, 18.2 at its 99.9 % quantile, \
             for 9.99 jumps"
        );
        let seen = Uniformization { exact: false, expected_steps_q999: None, ..exact };
        assert!(
            seen.reading().contains("the largest R seen, a lower bound of its supremum, for"),
            "{}",
            seen.reading()
        );
    }

    #[test]
    fn a_model_is_calibrated_or_says_by_how_much_it_is_not() {
        let at = |measured: f64, z: f64| {
            let found =
                Calibration { expected_mean_rate: 5.0, measured, z: Some(z), worst_state: None, timesteps: 8, of: 10 };
            found.reading().unwrap()
        };
        assert!(at(5.01, -0.3).ends_with("(z = −0.3, 8 of 10 timesteps): calibrated, as far as these samples tell"));
        assert!(at(4.5, -4e5).contains("(|z| > 99, 8 of 10"));
        assert!(at(4.5, -9.0).ends_with("not calibrated: the model jumps too seldom by 10.0 %"));
        assert!(at(5.0005, 40.0).ends_with("calibrated to 0.01 %"));
        let exact =
            Calibration { expected_mean_rate: 5.0, measured: 5.0, z: None, worst_state: None, timesteps: 1, of: 1 };
        assert_eq!(exact.reading(), None);
        let masked = Calibration { z: Some(0.1), worst_state: Some(0.25), ..exact };
        assert!(masked.reading().unwrap().ends_with("; in single states it is off by up to 25.0 %"));
    }
}

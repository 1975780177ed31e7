//! The learning rate over steps: linear warm-up, then constant or half a cosine down to 0.

use clap::ValueEnum;
use serde::Serialize;

/// What follows the warm-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum RateSchedule {
    /// The rate stays
    #[default]
    Constant,
    /// rate · (1 + cos(π s))/2 with s from 0 to 1
    Cosine,
}

impl RateSchedule {
    /// The rate of step `step` of `steps`, counted from 0, after `warmup` steps of rising.
    pub fn rate(self, highest: f64, step: u64, warmup: u64, steps: u64) -> f64 {
        if step < warmup {
            return highest * (step + 1) as f64 / warmup as f64;
        }
        match self {
            RateSchedule::Constant => highest,
            RateSchedule::Cosine => {
                let part = (step - warmup) as f64 / steps.saturating_sub(warmup).max(1) as f64;
                highest * (1.0 + (std::f64::consts::PI * part).cos()) / 2.0
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_warms_up_and_falls() {
        let cosine = |step| RateSchedule::Cosine.rate(2.0, step, 10, 110);
        assert_eq!((cosine(0), cosine(4), cosine(9), cosine(10)), (0.2, 1.0, 2.0, 2.0));
        assert!((cosine(60) - 1.0).abs() < 1e-12 && cosine(109) < 1e-3);
        assert_eq!(RateSchedule::Constant.rate(2.0, 500, 0, 1000), 2.0);
    }
}

//! How many samples a timestep gets.

use crate::control_variates::{Control, controlled};
use serde::{Deserialize, Serialize};

/// How many samples a timestep gets.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SampleRule {
    /// So many.
    Fixed {
        /// Number of (x₀, ε) pairs.
        samples: u64,
    },
    /// As many as it takes until every model's standard error is below `target` times its mean.
    RelativeError {
        /// Wanted relative standard error.
        target: f64,
        /// Where to give up.
        most: u64,
    },
}

/// Samples come in steps of this many.
const STEP: u64 = 8;
/// Samples before a spread is believed.
const FIRST: u64 = 24;

impl SampleRule {
    /// How many samples come before the first look.
    pub(super) fn first_round(&self) -> u64 {
        match *self {
            SampleRule::Fixed { samples } => samples,
            SampleRule::RelativeError { most, .. } => FIRST.min(most),
        }
    }

    /// After `done` samples: how many are needed in all before the next look, or `None` where these suffice. The error
    /// falls like 1/√n, and the spread of few samples is not to be trusted far. Neither depends on the batch size.
    pub(super) fn next_round(&self, done: u64, norms: &[&[f64]], control: &Control) -> Option<u64> {
        match *self {
            SampleRule::Fixed { samples } => (done < samples).then_some(samples),
            SampleRule::RelativeError { most, .. } if done >= most => None,
            SampleRule::RelativeError { target, most } => {
                let worst = norms.iter().map(|values| relative_error(values, control)).fold(0.0, f64::max);
                if worst <= target {
                    return None;
                }
                let needed = (done as f64 * (worst / target).powi(2)).min(most as f64).ceil() as u64;
                let step = |samples: u64| samples.div_ceil(STEP) * STEP;
                Some(step(needed).clamp(step(done + 1), step(2 * done)).min(most))
            }
        }
    }
}

/// Standard error over mean; 0 where all values are 0, infinite where nothing can be said.
fn relative_error(values: &[f64], control: &Control) -> f64 {
    let (statistics, _) = controlled(values, control);
    match (statistics.mean, statistics.std_error) {
        (Some(_), Some(0.0)) => 0.0,
        (Some(mean), Some(error)) if mean > 0.0 => error / mean,
        _ => f64::INFINITY,
    }
}

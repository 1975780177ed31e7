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
    /// Sizes at which the rule looks at what it has: they do not depend on the batch size, so neither does the result.
    pub(super) fn next_round(&self, done: u64) -> u64 {
        match *self {
            SampleRule::Fixed { samples } => samples,
            SampleRule::RelativeError { most, .. } => {
                let grown = (done + done / 4).div_ceil(STEP) * STEP;
                grown.max(done + STEP).max(FIRST).min(most)
            }
        }
    }

    pub(super) fn satisfied(&self, done: u64, norms: &[&[f64]], control: &Control) -> bool {
        match *self {
            SampleRule::Fixed { samples } => done >= samples,
            SampleRule::RelativeError { target, most } => {
                done >= most || norms.iter().all(|values| relative_error(values, control) <= target)
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

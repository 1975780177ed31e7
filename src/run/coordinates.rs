//! Timesteps at which there is no number: with no signal left the log-SNR is infinite, and K per log-SNR does not exist; nor
//! does the score of x without noise.

use super::plan::Missing;
use crate::error::{Error, Result};
use crate::estimator::no_axis;
use crate::model::Model;
use crate::of::{self, Of};
use crate::time::{Axis, Timestep};

/// The timesteps at which `axis` has a finite coordinate and rate for all models, at t and at t + `reach`, and how many
/// others there were.
///
/// # Errors
/// A process has no such axis, or there are no such timesteps.
pub(super) fn with_coordinates(
    timesteps: Vec<Timestep>,
    models: &[Model],
    axis: Axis,
    reach: f64,
) -> Result<(Vec<Timestep>, usize)> {
    let mut processes = models.iter().map(|model| model.response.process());
    if timesteps.first().is_some_and(|&t| processes.any(|process| process.coordinate(axis, t).is_none())) {
        return Err(no_axis(axis));
    }
    let is_finite = |model: &Model, t: Timestep| {
        let process = model.response.process();
        let numbers =
            [process.coordinate(axis, t), process.coordinate_rate(axis, t), process.coordinate(axis, t + reach)];
        numbers.iter().flatten().all(|number| number.is_finite())
    };
    let before = timesteps.len();
    let kept: Vec<Timestep> =
        timesteps.into_iter().filter(|&t| models.iter().all(|model| is_finite(model, t))).collect();
    if kept.is_empty() && before > 0 {
        let problem = format!("{} is infinite at these timesteps, or at their t′", axis.name());
        return Err(Error::mismatch(problem, "Choose other --timesteps, or --axis step."));
    }
    let left_out = before - kept.len();
    Ok((kept, left_out))
}

/// The timesteps at which `of` exists for all models, at t and at t + `reach`; how many others there were, and why.
///
/// # Errors
/// There are no such timesteps.
pub(super) fn with_values(
    timesteps: Vec<Timestep>,
    models: &[Model],
    of: Of,
    reach: f64,
) -> Result<(Vec<Timestep>, Option<Missing>)> {
    let missing = |t: Timestep| {
        let at = |t: Timestep| models.iter().find_map(|model| of::undefined_at(of, &*model.response, t));
        at(t).or_else(|| at(t + reach))
    };
    let reasons: Vec<Option<String>> = timesteps.iter().map(|&t| missing(t)).collect();
    let count = reasons.iter().flatten().count();
    let Some(reason) = reasons.iter().flatten().next().cloned() else { return Ok((timesteps, None)) };
    if count == timesteps.len() {
        return Err(Error::mismatch(reason, "Choose other --timesteps, or --of epsilon."));
    }
    let kept = timesteps.into_iter().zip(&reasons).filter(|(_, reason)| reason.is_none()).map(|(t, _)| t);
    Ok((kept.collect(), Some(Missing { count, reason })))
}

//! What a reader of a curve must know: what the plan makes so, and what the numbers show.

use super::Plan;
use super::plan::Missing;
use crate::estimator::Quantities;
use crate::measure::SampleRule;
use crate::model::Model;
use crate::report::{self, Report, Warning};

/// What follows from the plan, whatever is measured.
pub(super) fn of_plan(plan: &Plan, models: &[Model]) -> Vec<Warning> {
    let mut warnings = Vec::new();
    if plan.left_out > 0 {
        warnings.push(Warning::NoNextTimestep { count: plan.left_out });
    }
    if plan.without_coordinate > 0 {
        warnings.push(Warning::NoCoordinate { count: plan.without_coordinate, axis: plan.axis });
    }
    if let Some(Missing { count, reason }) = &plan.without_value {
        warnings.push(Warning::NoValue { count: *count, of: plan.of, reason: reason.clone() });
    }
    if models.windows(2).any(|pair| pair[0].description.schedule != pair[1].description.schedule) {
        warnings.push(Warning::SchedulesDiffer);
    }
    let shared = models.iter().filter(|model| !model.description.boundaries.is_empty());
    if plan.quantity.has_derivative() {
        let blind = |model: &Model| Warning::DerivativeBlindToJumps {
            model: model.label.clone(),
            zero: plan.of.rests_where_shared(&model.description.prediction),
        };
        warnings.extend(shared.map(blind));
    } else if plan.quantity == Quantities::Path {
        warnings.extend(shared.map(|model| Warning::PathUndefinedAtJumps { model: model.label.clone() }));
    }
    warnings
}

/// What follows from the measured points.
pub(super) fn of_numbers(report: &Report, rule: &SampleRule) -> Vec<Warning> {
    let mut warnings: Vec<Warning> = report.resolution.iter().filter_map(Warning::unresolved).collect();
    for model in &report.models {
        if let Some(summary) = model.summary.iter().find(|summary| !summary.near_zero.unmeasured_jumps.is_empty()) {
            let (model, boundaries) = (model.label.clone(), summary.near_zero.unmeasured_jumps.clone());
            warnings.push(Warning::JumpsBetweenTimesteps { model, boundaries });
        }
        let points = || model.curves.iter().flat_map(|curve| &curve.points);
        let count = points().map(|point| point.non_finite).sum();
        if let Some(first) = points().find(|point| point.non_finite > 0) {
            warnings.push(Warning::NonFinite { model: model.label.clone(), count, timestep: first.timestep });
        }
        match points().map(|point| point.unconverged).sum() {
            0 => {}
            count => warnings.push(Warning::Unsettled { model: model.label.clone(), count }),
        }
        warnings.extend(Warning::skewed(&model.label, points()));
        if let SampleRule::RelativeError { target, .. } = *rule {
            let relative = |point: &report::Point| point.std_error.zip(point.mean).map(|(error, mean)| error / mean);
            let short: Vec<(f64, f64)> = points()
                .filter_map(|point| relative(point).filter(|e| *e > target).map(|e| (point.timestep, e)))
                .collect();
            if !short.is_empty() {
                warnings.push(Warning::NotConverged {
                    model: model.label.clone(),
                    worst: short.iter().map(|(_, error)| *error).fold(0.0, f64::max),
                    timesteps: short.into_iter().map(|(t, _)| t).collect(),
                });
            }
        }
    }
    warnings
}

//! From points to a finished report.

use super::{Plan, jumps, terminal, warnings};
use crate::compare::summarise;
use crate::process::ForwardProcess;
use crate::report::{ComparisonRow, Memorisation, Report, findings};
use crate::terminal::DataMoments;

/// Whether points or the refinement of the plan are missing.
pub(super) fn is_short(report: &Report, plan: &Plan) -> bool {
    let fewer = |points: usize| points < plan.timesteps.len();
    let short = report.models.iter().flat_map(|model| &model.curves).any(|curve| fewer(curve.points.len()));
    short || plan.refinement.is_some() && report.resolution.is_none()
}

/// Summaries, warnings from the numbers, and the mark of completeness; `data` are the moments of each model's data
/// where they are needed and known.
pub(super) fn finish(report: &mut Report, plan: &Plan, processes: &[&dyn ForwardProcess], data: &[DataMoments]) {
    for (place, (model, process)) in report.models.iter_mut().zip(processes).enumerate() {
        let spent = model.spent;
        model.summary =
            model.curves.iter().map(|curve| summarise(curve, plan.near_zero_until, *process, spent)).collect();
        let memorisation = Memorisation::new(&model.own_weights);
        model.summary.iter_mut().for_each(|summary| summary.memorisation = memorisation);
        let positions = model.model.sample_shape.iter().product::<i64>() as usize;
        for (summary, curve) in model.summary.iter_mut().zip(&model.curves) {
            summary.uniformization = jumps::uniformization(curve);
            summary.calibration = process.jump().and_then(|jump| jumps::calibration(curve, jump, positions));
        }
        if terminal::is_asked(plan) {
            for (summary, curve) in model.summary.iter_mut().zip(&model.curves) {
                summary.terminal = terminal::terminal(curve, *process, data.get(place));
            }
        }
    }
    // Rows come timestep by timestep; readers want them candidate by candidate.
    let order: Vec<String> = report.models.iter().map(|model| model.label.clone()).collect();
    report.comparison.sort_by(|a, b| {
        let place = |row: &ComparisonRow| order.iter().position(|label| *label == row.model);
        place(a).cmp(&place(b)).then(a.timestep.total_cmp(&b.timestep))
    });
    let found = warnings::of_numbers(report, &plan.samples);
    report.warnings.extend(found);
    report.complete = true;
    report.reading = findings(report);
}

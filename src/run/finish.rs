//! From points to a finished report.

use super::{Plan, jumps, terminal, warnings};
use crate::compare::summarise;
use crate::process::ForwardProcess;
use crate::report::{ComparisonRow, Curve, Memorisation, Report, Summary, crosses, findings};
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
        for (summary, curve) in model.summary.iter_mut().zip(&model.curves) {
            look_for_jumps(summary, curve, &model.model.boundaries);
        }
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

/// Takes back what a curve comes to where a jump of the condition lies between its timesteps: between two zeros a straight line
/// says that there is none.
fn look_for_jumps(summary: &mut Summary, curve: &Curve, boundaries: &[f64]) {
    let ends = || curve.points.iter().filter_map(|point| Some((point.timestep, point.t_next?)));
    let (Some((first, _)), Some((_, last))) = (ends().next(), ends().next_back()) else { return };
    let is_measured = |jump: f64| ends().any(|(t, next)| crosses(jump, t, next));
    let jumps = boundaries.iter().skip(1).filter(|jump| first < **jump && **jump <= last);
    let missed: Vec<f64> = jumps.copied().filter(|jump| !is_measured(*jump)).collect();
    if !missed.is_empty() {
        summary.total_variation_all = None;
        let near = &mut summary.near_zero;
        (near.total_variation, near.total_variation_exact, near.unmeasured_jumps) = (None, false, missed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::closed_form_curve;
    use crate::estimator::{Norm, Quantity};
    use crate::of::Of;
    use crate::process::Gaussian;
    use crate::report::{Point, Spent};
    use crate::time::Axis;

    #[test]
    fn a_jump_between_timesteps_takes_back_the_total_variation() {
        let boundaries = [0.0, 20.0, 40.0, 60.0, 80.0, 100.0];
        let process = Gaussian::from(crate::schedule::parse("linear").unwrap());
        let after = |timesteps: &[f64]| {
            let mut curve = closed_form_curve((Quantity::Secant, Of::Epsilon), Axis::Step, Norm::L2, Some(1.0));
            let value = |t: f64| if boundaries[1..].contains(&(t + 1.0)) { 2.0 } else { 0.0 };
            let point =
                |&t: &f64| Point { timestep: t, t_next: Some(t + 1.0), mean: Some(value(t)), ..Point::default() };
            curve.points = timesteps.iter().map(point).collect();
            let mut summary = summarise(&curve, 100.0, &process, Spent::default());
            look_for_jumps(&mut summary, &curve, &boundaries);
            let near = summary.near_zero;
            (near.unmeasured_jumps, near.total_variation, near.total_variation_exact)
        };
        let every: Vec<f64> = (0..200).map(f64::from).collect();
        assert_eq!(after(&every), (vec![], Some(10.0), true));
        let fifth: Vec<f64> = (0..40).map(|i| f64::from(5 * i)).collect();
        assert_eq!(after(&fifth), (boundaries[1..].to_vec(), None, false));
        // What lies beyond the last timestep is not between timesteps.
        assert_eq!(after(&[0.0, 19.0, 30.0, 45.0]), (vec![40.0], None, false));
        assert_eq!(after(&[]), (vec![], None, false));
    }
}

//! The curves of a data set under a jump process: expectations, quantiles and suprema over all states, without samples.

use super::Plan;
use super::closed_form::over_timesteps;
use crate::compare::{bare_point, closed_form_curve};
use crate::estimator::Quantity;
use crate::ideal::IdealJumps;
use crate::refine::Resolution;
use crate::report::{Curve, MeanSquare, ModelReport, Point};
use crate::time::Timestep;
use lipscope_core::process::jump::Expectation;

/// The curves of a plan, complete, into `models`; how well the refined timesteps resolve them.
pub(super) fn fill(models: &mut [ModelReport], ideals: &[&IdealJumps], plan: &Plan) -> Option<Resolution> {
    let curve = |&quantity: &Quantity| {
        let dt = (quantity == Quantity::Secant).then_some(plan.dt);
        closed_form_curve((quantity, plan.of), plan.axis, plan.norm, dt)
    };
    models.iter_mut().for_each(|model| model.curves = plan.quantity.all().iter().map(curve).collect());
    over_timesteps(models, plan, |place, t, curve| {
        ideals.get(place).map(|ideal| point(ideal, t, curve)).unwrap_or_default()
    })
}

/// The point of a curve at t.
fn point(ideal: &IdealJumps, t: Timestep, curve: &Curve) -> Point {
    let t_next = curve.dt.map(|dt| t + dt);
    let bare = bare_point(&ideal.process, t, t_next);
    let Some(found) = ideal.expectation(curve.quantity, curve.axis, (t, t_next)) else { return bare };
    let Expectation { mean, mean_square, quantiles: [p05, p50, p95, p999], sup } = found;
    let is_size = curve.quantity == Quantity::Size;
    let square =
        MeanSquare { mean: mean_square, std_error: None, ci_low: None, ci_high: None, per_element: mean_square };
    Point {
        mean: Some(mean),
        p05: Some(p05),
        p50: Some(p50),
        p95: Some(p95),
        p999: is_size.then_some(p999),
        max: Some(sup),
        mean_square: is_size.then_some(square),
        ..bare
    }
}

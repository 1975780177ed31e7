//! The curve of a Gaussian's ideal denoiser, or of what follows from it: the expectation itself, without samples.
//!
//! What is measured is normal in each coordinate of the data's eigenbasis; a process is one file that gives these.

mod gaussian;
mod linear_gaussian;

pub(super) use gaussian::Expectation;
pub(super) use linear_gaussian::WithAuxiliaries;

use super::Plan;
use super::record::known;
use crate::compare::{bare_point, closed_form_curve};
use crate::estimator::{Norm, Quantity};
use crate::expectation::mean_norm;
use crate::process::ForwardProcess;
use crate::refine::{Next, Resolution};
use crate::report::{Curve, MeanSquare, ModelReport, Point};
use crate::time::Timestep;

/// A function that is normal in each coordinate of a basis.
pub(super) trait Expected {
    /// How its states come about.
    fn process(&self) -> &dyn ForwardProcess;

    /// Names of the blocks that have a curve each.
    fn blocks(&self) -> Vec<Option<String>> {
        vec![None]
    }

    /// Whether its timestep map jumps at t.
    fn jumps_at(&self, t: Timestep) -> bool;

    /// Mean and variance in each coordinate of what `curve` is the norm of at t: f, its change to t + dt, or its rate per step.
    fn coordinates(&self, curve: &Curve, t: Timestep) -> Vec<(f64, f64)>;
}

/// The curves of a plan, complete, into `entry`; how well the refined timesteps resolve them.
pub(super) fn fill(expected: &dyn Expected, entry: &mut ModelReport, plan: &Plan) -> Option<Resolution> {
    entry.curves = empty_curves(expected, plan);
    over_timesteps(std::slice::from_mut(entry), plan, |_, t, curve| point(expected, t, curve))
}

/// Fills in the points of all curves, by place of the model, on the timesteps of the plan and those that its refinement adds.
pub(super) fn over_timesteps(
    models: &mut [ModelReport],
    plan: &Plan,
    point: impl Fn(usize, Timestep, &Curve) -> Point,
) -> Option<Resolution> {
    let mut next = Next::Measure(plan.timesteps.clone());
    loop {
        let timesteps = match next {
            Next::Measure(timesteps) => timesteps,
            Next::Done(resolution) => return Some(resolution),
        };
        for (place, model) in models.iter_mut().enumerate() {
            for curve in &mut model.curves {
                let points: Vec<Point> = timesteps.iter().map(|&t| point(place, t, curve)).collect();
                curve.points.extend(points);
                curve.points.sort_by(|a, b| a.timestep.total_cmp(&b.timestep));
            }
        }
        next = plan.refinement?.next(&plan.timesteps, &known(models));
    }
}

fn empty_curves(expected: &dyn Expected, plan: &Plan) -> Vec<Curve> {
    let curve = |&quantity: &Quantity| {
        let dt = (quantity == Quantity::Secant).then_some(plan.dt);
        let curve = closed_form_curve((quantity, plan.of), plan.axis, plan.norm, dt);
        expected.blocks().into_iter().map(move |block| Curve { block, ..curve.clone() })
    };
    plan.quantity.all().iter().flat_map(curve).collect()
}

/// The point of a curve at t: E‖f(x, t) − f(x, t′)‖, E‖∂f(x, t)/∂t‖ or E‖f(x, t)‖ over x ~ q_t.
fn point(expected: &dyn Expected, t: Timestep, curve: &Curve) -> Point {
    let process = expected.process();
    let is_size = curve.quantity == Quantity::Size;
    let t_next = curve.dt.map(|dt| t + dt);
    // A process without this axis is refused before.
    let at = |t: Timestep| process.coordinate(curve.axis, t).unwrap_or(f64::NAN);
    let distance = match t_next {
        _ if is_size => 1.0,
        Some(next) => at(next) - at(t),
        None => process.coordinate_rate(curve.axis, t).unwrap_or(f64::NAN),
    };
    let coordinates = expected.coordinates(curve, t);
    let (means, variances): (Vec<f64>, Vec<f64>) = coordinates.iter().copied().unzip();
    let scale = match curve.norm {
        Norm::L2 | Norm::TotalVariation => 1.0,
        Norm::Rms => (coordinates.len() as f64).sqrt(),
    };
    let mean = mean_norm(&means, &variances) / distance.abs() / scale;
    let undefined = !is_size && t_next.is_none() && expected.jumps_at(t);
    let non_finite = u64::from(!undefined && !mean.is_finite());
    let mean = (!undefined && mean.is_finite()).then_some(mean);
    let mean_square = is_size.then(|| mean_square(&coordinates));
    Point { mean, mean_square, non_finite, ..bare_point(process, t, t_next) }
}

/// E‖f‖² = Σ (mean² + variance).
fn mean_square(coordinates: &[(f64, f64)]) -> MeanSquare {
    let mean = coordinates.iter().map(|(mean, variance)| mean * mean + variance).sum::<f64>();
    let per_element = mean / coordinates.len() as f64;
    MeanSquare { mean, std_error: None, ci_low: None, ci_high: None, per_element }
}

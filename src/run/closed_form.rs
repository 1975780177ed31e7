//! The curve of a Gaussian's ideal denoiser: the expectation itself, without samples.

use super::Plan;
use super::record::known;
use crate::compare::{bare_point, closed_form_curve};
use crate::denoiser::Denoiser;
use crate::estimator::{Norm, Quantity};
use crate::expectation::mean_norm;
use crate::ideal::Gaussian;
use crate::process::ForwardProcess;
use crate::refine::{Next, Resolution};
use crate::report::{Curve, ModelReport, Point};
use crate::schedule::{Level, NoiseSchedule};
use crate::time::Timestep;
use crate::timestep_map::TimestepMap;

/// E‖ε*(x, f(t)) − ε*(x, f(t′))‖ and E‖∂ε*(x, f(t))/∂t‖ over x ~ q_t, coordinate by coordinate of the eigenbasis.
///
/// With gain g = σ/(α²λ + σ²) at the condition: ε* = g (x − α_f m), x ~ N(α m, α²λ + σ²) at t itself.
pub(super) struct Expectation<'a> {
    moments: (Vec<f64>, Vec<f64>),
    process: &'a dyn ForwardProcess,
    schedule: &'a dyn NoiseSchedule,
    map: &'a dyn TimestepMap,
}

impl<'a> Expectation<'a> {
    /// The expectations over a Gaussian whose ideal denoiser is `ideal`.
    pub fn new(gaussian: &Gaussian, ideal: &'a dyn Denoiser) -> Self {
        let (schedule, map) = (ideal.schedule(), ideal.timestep_map());
        Expectation { moments: gaussian.moments(), process: ideal.process(), schedule, map }
    }

    /// The curves of a plan, complete, into `entry`; how well the refined timesteps resolve them.
    pub fn fill(&self, entry: &mut ModelReport, plan: &Plan) -> Option<Resolution> {
        entry.curves = empty_curves(plan);
        let mut next = Next::Measure(plan.timesteps.clone());
        loop {
            let timesteps = match next {
                Next::Measure(timesteps) => timesteps,
                Next::Done(resolution) => return Some(resolution),
            };
            for curve in &mut entry.curves {
                let points: Vec<Point> = timesteps.iter().map(|&t| self.point(t, curve)).collect();
                curve.points.extend(points);
                curve.points.sort_by(|a, b| a.timestep.total_cmp(&b.timestep));
            }
            next = plan.refinement?.next(&plan.timesteps, &known(std::slice::from_ref(entry)));
        }
    }

    /// The point of a curve at t.
    fn point(&self, t: Timestep, curve: &Curve) -> Point {
        let scale = match curve.norm {
            Norm::L2 => 1.0,
            Norm::Rms => (self.moments.0.len() as f64).sqrt(),
        };
        let t_next = curve.dt.map(|dt| t + dt);
        let distance = match t_next {
            Some(next) => curve.axis.coordinate(self.schedule, next) - curve.axis.coordinate(self.schedule, t),
            None => curve.axis.rate(self.schedule, t),
        };
        let mean = self.change(t, t_next) / distance.abs() / scale;
        let undefined = t_next.is_none() && self.map.jumps_at(t);
        let non_finite = u64::from(!undefined && !mean.is_finite());
        let mean = (!undefined && mean.is_finite()).then_some(mean);
        Point { mean, non_finite, ..bare_point(self.process, t, t_next) }
    }

    fn change(&self, t: Timestep, t_next: Option<Timestep>) -> f64 {
        let state = self.schedule.level(t);
        let (means, variances) = &self.moments;
        let normal = means.iter().zip(variances).map(|(&m, &variance)| {
            // The change is s·x − c·m for x ~ N(α m, v).
            let (slope, offset) = match t_next {
                Some(next) => self.difference(t, next, variance),
                None => self.rate(t, variance),
            };
            let v = state.alpha * state.alpha * variance + state.sigma * state.sigma;
            (slope * state.alpha * m - offset * m, slope * slope * v)
        });
        let (mean, variance): (Vec<f64>, Vec<f64>) = normal.unzip();
        mean_norm(&mean, &variance)
    }

    fn difference(&self, t: Timestep, next: Timestep, variance: f64) -> (f64, f64) {
        let at = |t: Timestep| {
            let level = self.schedule.level(self.map.condition(t));
            (gain(&level, variance), level.alpha)
        };
        let ((g, alpha), (g_next, alpha_next)) = (at(t), at(next));
        (g_next - g, g_next * alpha_next - g * alpha)
    }

    fn rate(&self, t: Timestep, variance: f64) -> (f64, f64) {
        let level = self.schedule.level(self.map.condition(t));
        let Level { alpha, sigma, d_alpha, d_sigma } = level;
        let v = alpha * alpha * variance + sigma * sigma;
        let d_v = 2.0 * (alpha * d_alpha * variance + sigma * d_sigma);
        let d_gain = d_sigma / v - sigma * d_v / (v * v);
        let speed = self.map.rate(t);
        (d_gain * speed, (d_gain * alpha + gain(&level, variance) * d_alpha) * speed)
    }
}

fn empty_curves(plan: &Plan) -> Vec<Curve> {
    let curve = |&quantity: &Quantity| {
        let dt = (quantity == Quantity::Secant).then_some(plan.dt);
        closed_form_curve(quantity, plan.axis, plan.norm, dt)
    };
    plan.quantity.all().iter().map(curve).collect()
}

fn gain(level: &Level, variance: f64) -> f64 {
    level.sigma / (level.alpha * level.alpha * variance + level.sigma * level.sigma)
}

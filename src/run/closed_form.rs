//! The curve of a Gaussian's ideal denoiser, or of what follows from it: the expectation itself, without samples.

use super::Plan;
use super::record::known;
use crate::compare::{bare_point, closed_form_curve};
use crate::denoiser::Denoiser;
use crate::estimator::{Norm, Quantity};
use crate::expectation::mean_norm;
use crate::ideal::Gaussian;
use crate::of::{self, Of};
use crate::prediction::Affine;
use crate::process::ForwardProcess;
use crate::refine::{Next, Resolution};
use crate::report::{Curve, MeanSquare, ModelReport, Point};
use crate::schedule::{Level, NoiseSchedule};
use crate::time::Timestep;
use crate::timestep_map::TimestepMap;

/// E‖f(x, t) − f(x, t′)‖, E‖∂f(x, t)/∂t‖ and E‖f(x, t)‖ over x ~ q_t of f = A ε* + B x, coordinate by coordinate of the
/// eigenbasis.
///
/// With gain g = σ/(α²λ + σ²) at the condition: ε* = g (x − α_f m), x ~ N(α m, α²λ + σ²) at t itself.
pub(super) struct Expectation<'a> {
    moments: (Vec<f64>, Vec<f64>),
    process: &'a dyn ForwardProcess,
    schedule: &'a dyn NoiseSchedule,
    map: &'a dyn TimestepMap,
    of: Of,
}

impl<'a> Expectation<'a> {
    /// The expectations over a Gaussian whose ideal denoiser is `ideal`.
    pub fn new(gaussian: &Gaussian, ideal: &'a dyn Denoiser, of: Of) -> Self {
        let (schedule, map) = (ideal.schedule(), ideal.timestep_map());
        Expectation { moments: gaussian.moments(), process: ideal.process(), schedule, map, of }
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
            Norm::L2 | Norm::TotalVariation => 1.0,
            Norm::Rms => (self.moments.0.len() as f64).sqrt(),
        };
        let t_next = curve.dt.map(|dt| t + dt);
        let at = |t: Timestep| curve.axis.coordinate(self.schedule, t);
        let (norm, distance) = match (curve.quantity, t_next) {
            (Quantity::Size, _) => (self.mean_norm(t, |variance| self.value(t, variance)), 1.0),
            (_, Some(next)) => (self.mean_norm(t, |variance| self.difference(t, next, variance)), at(next) - at(t)),
            (_, None) => (self.mean_norm(t, |variance| self.rate(t, variance)), curve.axis.rate(self.schedule, t)),
        };
        let mean = norm / distance.abs() / scale;
        let undefined = curve.quantity != Quantity::Size && t_next.is_none() && self.map.jumps_at(t);
        let non_finite = u64::from(!undefined && !mean.is_finite());
        let mean = (!undefined && mean.is_finite()).then_some(mean);
        let mean_square = (curve.quantity == Quantity::Size).then(|| self.mean_square(t));
        Point { mean, mean_square, non_finite, ..bare_point(self.process, t, t_next) }
    }

    /// E‖f‖ over x ~ q_t, where f = s·x − c·m in each coordinate, for the (s, c) of a variance.
    fn mean_norm(&self, t: Timestep, of: impl Fn(f64) -> (f64, f64)) -> f64 {
        let (mean, variance): (Vec<f64>, Vec<f64>) = self.normal(t, of).unzip();
        mean_norm(&mean, &variance)
    }

    /// E‖f‖² = Σ (mean² + variance).
    fn mean_square(&self, t: Timestep) -> MeanSquare {
        let mean =
            self.normal(t, |variance| self.value(t, variance)).map(|(mean, variance)| mean * mean + variance).sum();
        let per_element = mean / self.moments.0.len() as f64;
        MeanSquare { mean, std_error: None, ci_low: None, ci_high: None, per_element }
    }

    /// Mean and variance of f in each coordinate.
    fn normal(&self, t: Timestep, of: impl Fn(f64) -> (f64, f64)) -> impl Iterator<Item = (f64, f64)> {
        let state = self.schedule.level(t);
        let (means, variances) = &self.moments;
        means.iter().zip(variances).map(move |(&m, &variance)| {
            let (slope, offset) = of(variance);
            let v = state.alpha * state.alpha * variance + state.sigma * state.sigma;
            (slope * state.alpha * m - offset * m, slope * slope * v)
        })
    }

    /// A and B of f = A ε + B x, and their rates.
    fn factors(&self, t: Timestep) -> (Affine, Affine) {
        let level = self.schedule.level(t);
        let nowhere = Affine { output: f64::NAN, x: f64::NAN };
        of::of_epsilon(self.of, &level).unwrap_or((nowhere, nowhere))
    }

    /// f(t) = A ε* + B x with ε* = g (x − α_f m).
    fn value(&self, t: Timestep, variance: f64) -> (f64, f64) {
        let level = self.schedule.level(self.map.condition(t));
        let Affine { output, x } = self.factors(t).0;
        let gain = gain(&level, variance);
        (output * gain + x, output * gain * level.alpha)
    }

    fn difference(&self, t: Timestep, next: Timestep, variance: f64) -> (f64, f64) {
        let (here, there) = (self.value(t, variance), self.value(next, variance));
        (there.0 - here.0, there.1 - here.1)
    }

    /// ḟ = Ȧ ε* + Ḃ x + A ε̇*.
    fn rate(&self, t: Timestep, variance: f64) -> (f64, f64) {
        let level = self.schedule.level(self.map.condition(t));
        let Level { alpha, sigma, d_alpha, d_sigma } = level;
        let v = alpha * alpha * variance + sigma * sigma;
        let d_v = 2.0 * (alpha * d_alpha * variance + sigma * d_sigma);
        let gain = gain(&level, variance);
        let d_gain = d_sigma / v - sigma * d_v / (v * v);
        let speed = self.map.rate(t);
        let (factor, moving) = self.factors(t);
        (
            factor.output * d_gain * speed + moving.output * gain + moving.x,
            factor.output * (d_gain * alpha + gain * d_alpha) * speed + moving.output * gain * alpha,
        )
    }
}

/// The curves of a plan before their first point.
pub(super) fn empty_curves(plan: &Plan) -> Vec<Curve> {
    let curve = |&quantity: &Quantity| {
        let dt = (quantity == Quantity::Secant).then_some(plan.dt);
        closed_form_curve((quantity, plan.of), plan.axis, plan.norm, dt)
    };
    plan.quantity.all().iter().map(curve).collect()
}

fn gain(level: &Level, variance: f64) -> f64 {
    level.sigma / (level.alpha * level.alpha * variance + level.sigma * level.sigma)
}

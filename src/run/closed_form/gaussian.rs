//! The ideal denoiser of a Gaussian under Gaussian noise, or what follows from it.

use super::Expected;
use crate::denoiser::Denoiser;
use crate::estimator::Quantity;
use crate::ideal::Gaussian;
use crate::of::{self, Of};
use crate::prediction::Affine;
use crate::process::ForwardProcess;
use crate::report::Curve;
use crate::schedule::{Level, NoiseSchedule};
use crate::time::Timestep;
use crate::timestep_map::TimestepMap;

/// E‖f(x, t) − f(x, t′)‖, E‖∂f(x, t)/∂t‖ and E‖f(x, t)‖ over x ~ q_t of f = A ε* + B x, coordinate by coordinate of the
/// eigenbasis.
///
/// With gain g = σ/(α²λ + σ²) at the condition: ε* = g (x − α_f m), x ~ N(α m, α²λ + σ²) at t itself.
pub struct Expectation<'a> {
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

    /// Mean and variance of f in each coordinate over x ~ q_t, where f = s·x − c·m, for the (s, c) of a variance.
    fn normal(&self, t: Timestep, of: impl Fn(f64) -> (f64, f64)) -> Vec<(f64, f64)> {
        let state = self.schedule.level(t);
        let (means, variances) = &self.moments;
        let coordinates = means.iter().zip(variances).map(|(&m, &variance)| {
            let (slope, offset) = of(variance);
            let v = state.alpha * state.alpha * variance + state.sigma * state.sigma;
            (slope * state.alpha * m - offset * m, slope * slope * v)
        });
        coordinates.collect()
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

impl Expected for Expectation<'_> {
    fn process(&self) -> &dyn ForwardProcess {
        self.process
    }

    fn jumps_at(&self, t: Timestep) -> bool {
        self.map.jumps_at(t)
    }

    fn coordinates(&self, curve: &Curve, t: Timestep) -> Vec<(f64, f64)> {
        match (curve.quantity, curve.dt) {
            (Quantity::Size, _) => self.normal(t, |variance| self.value(t, variance)),
            (_, Some(dt)) => self.normal(t, |variance| self.difference(t, t + dt, variance)),
            (_, None) => self.normal(t, |variance| self.rate(t, variance)),
        }
    }
}

fn gain(level: &Level, variance: f64) -> f64 {
    level.sigma / (level.alpha * level.alpha * variance + level.sigma * level.sigma)
}

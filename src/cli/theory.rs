//! `lipscope theory`: the ideal denoiser's curve. For a Gaussian the expectation itself has a closed form; for mixtures
//! and finite data sets the closed-form ε* is averaged over samples.

use super::args::{Global, ModelOptions, Precision, TheoryArgs};
use super::model::Opened;
use super::prepare::Prepared;
use super::record::known;
use super::{Outcome, data, job, prepare};
use crate::compare::{bare_point, closed_form_curve};
use crate::data::DataSpec;
use crate::error::Result;
use crate::estimator::{Norm, Quantity};
use crate::expectation::mean_norm;
use crate::ideal::Gaussian;
use crate::refine::Next;
use crate::report::{self, Point};
use crate::schedule::{Level, NoiseSchedule};
use crate::time::{Axis, Timestep};
use crate::timestep_map::TimestepMap;

/// The ideal curve for a data set and schedule.
pub(super) fn run(args: &TheoryArgs, global: &Global) -> Result<Option<Outcome>> {
    let arithmetic = prepare::arithmetic(global, Precision::F64)?;
    let spec = args.options.data.source.clone().unwrap_or(DataSpec::Digits);
    let mut ideal = data::open_ideal(&spec, &args.options.data, arithmetic.0)?;
    let gaussian = ideal.gaussian.take();
    let default_label = format!("ideal {spec}");
    let opened = Opened::ideal(&spec.to_string(), args.label.as_deref().unwrap_or(&default_label), ideal);
    let model =
        ModelOptions { schedule: Some(args.schedule.clone()), dtype: Precision::F64, ..ModelOptions::default() };
    let share = [args.share.as_ref()];
    let prepared = prepare::prepare("theory", vec![opened], &share, (&args.options, &model), arithmetic, global.seed)?;
    if job::dry_run(&prepared, global)? {
        return Ok(None);
    }
    match gaussian.filter(|_| !prepared.plan.quantity.has_jacobian()) {
        Some(gaussian) => closed_form(&prepared, &gaussian, global)?,
        None => job::carry_out(prepared, global).map(|_| ())?,
    }
    Ok(None)
}

fn closed_form(prepared: &Prepared, gaussian: &Gaussian, global: &Global) -> Result<()> {
    report::prepare_dir(&prepared.out)?;
    let plan = &prepared.plan;
    let mut report = job::empty_report(prepared)?;
    let (Some(model), Some(entry)) = (prepared.models.first(), report.models.first_mut()) else { return Ok(()) };
    let expectation = Expectation {
        moments: gaussian.moments(),
        schedule: model.denoiser.schedule(),
        map: model.denoiser.timestep_map(),
    };
    let scale = match plan.norm {
        Norm::L2 => 1.0,
        Norm::Rms => (expectation.moments.0.len() as f64).sqrt(),
    };
    let wanted = [
        (Quantity::Secant, plan.quantity.has_secant().then_some(Some(plan.dt))),
        (Quantity::Derivative, plan.quantity.has_derivative().then_some(None)),
    ];
    entry.curves = (wanted.into_iter())
        .filter_map(|(quantity, dt)| Some(closed_form_curve(quantity, plan.axis, plan.norm, dt?)))
        .collect();
    let mut next = Next::Measure(plan.timesteps.clone());
    while let Next::Measure(timesteps) = next {
        for curve in &mut entry.curves {
            curve.points.extend(timesteps.iter().map(|&t| expectation.point(t, curve.dt, plan.axis, scale)));
            curve.points.sort_by(|a, b| a.timestep.total_cmp(&b.timestep));
        }
        let Some(refinement) = plan.refinement else { break };
        next = refinement.next(&plan.timesteps, &known(std::slice::from_ref(entry)));
        if let Next::Done(resolution) = &next {
            report.resolution = Some(resolution.clone());
        }
    }
    report.warnings = prepared.warnings.clone();
    job::finish(&mut report, plan.near_zero_until, &plan.samples, &[expectation.schedule]);
    job::write(&report, &prepared.out, &prepared.formats)?;
    job::present(&report, &prepared.out, &prepared.formats, global)
}

/// E‖ε*(x, f(t)) − ε*(x, f(t′))‖ and E‖∂ε*(x, f(t))/∂t‖ over x ~ q_t, coordinate by coordinate of the eigenbasis.
///
/// With gain g = σ/(α²λ + σ²) at the condition: ε* = g (x − α_f m), x ~ N(α m, α²λ + σ²) at t itself.
struct Expectation<'a> {
    moments: (Vec<f64>, Vec<f64>),
    schedule: &'a dyn NoiseSchedule,
    map: &'a dyn TimestepMap,
}

impl Expectation<'_> {
    /// One point of a curve, with the norm divided by `scale`.
    fn point(&self, t: Timestep, dt: Option<f64>, axis: Axis, scale: f64) -> Point {
        let t_next = dt.map(|dt| t + dt);
        let distance = match t_next {
            Some(next) => axis.coordinate(self.schedule, next) - axis.coordinate(self.schedule, t),
            None => axis.rate(self.schedule, t),
        };
        let mean = self.change(t, t_next) / distance.abs() / scale;
        let undefined = t_next.is_none() && self.map.jumps_at(t);
        let non_finite = u64::from(!undefined && !mean.is_finite());
        let mean = (!undefined && mean.is_finite()).then_some(mean);
        Point { mean, non_finite, ..bare_point(self.schedule, t, t_next) }
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

fn gain(level: &Level, variance: f64) -> f64 {
    level.sigma / (level.alpha * level.alpha * variance + level.sigma * level.sigma)
}

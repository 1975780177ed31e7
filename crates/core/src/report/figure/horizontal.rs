//! What the horizontal axis of the curves shows: the timestep, or the noise level.
//!
//! Under a schedule whose steps belong to the sampling (α = 1, σ from σ_min to σ_max) a timestep's number says nothing about
//! the model, and its curves are measured per log-SNR. They stand over σ/α on a logarithmic axis, which is the log-SNR
//! turned round, λ = −2 ln(σ/α): equal distances are equal changes of λ, and the data is on the left, as t = 0 is. Curves of jump
//! processes, whose steps belong to the sampling as well, stand over their total noise σ.

use crate::process::{ProcessSpec, Unnoised};
use crate::report::{Curve, ModelReport, Point, Report};
use crate::time::Axis;
use std::sync::Arc;

/// The horizontal axis of a report's curves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::report) enum Horizontal {
    /// t in steps.
    Timestep,
    /// σ/α; σ of jump processes.
    NoiseLevel,
}

impl Horizontal {
    /// The noise level where one of the models has α = 1 throughout, or jumps, and no curve is measured per step; else the
    /// timestep.
    pub fn of(report: &Report) -> Horizontal {
        let curves = || report.models.iter().flat_map(|model| &model.curves);
        let points = || curves().flat_map(|curve| &curve.points);
        let per_noise =
            |curve: &Curve| !curve.quantity.has_time_axis() || matches!(curve.axis, Axis::Sigma | Axis::LogSnr);
        let known = points().all(|point| noise_level(point).is_some());
        let exploding = report.models.iter().any(|model| is_exploding(model) || jumps(model));
        if exploding && known && curves().all(per_noise) { Horizontal::NoiseLevel } else { Horizontal::Timestep }
    }

    /// Where a point stands.
    pub fn place(self, point: &Point) -> f64 {
        match self {
            Horizontal::Timestep => point.timestep,
            Horizontal::NoiseLevel => noise_level(point).unwrap_or(f64::NAN),
        }
    }

    /// Where timestep `t` of a model stands, on the line between the measured points around it; `None` beyond them.
    pub fn place_of(self, model: &ModelReport, t: f64) -> Option<f64> {
        if self == Horizontal::Timestep {
            return Some(t);
        }
        let points = &model.curves.first()?.points;
        let after = points.iter().position(|point| point.timestep >= t)?;
        let (right, place) = (points[after].timestep, self.place(&points[after]));
        if right == t {
            return Some(place);
        }
        let before = points.get(after.checked_sub(1)?)?;
        let share = (t - before.timestep) / (right - before.timestep);
        Some((self.place(before).ln() * (1.0 - share) + place.ln() * share).exp())
    }

    /// The label of the axis, in full and short.
    pub fn labels(self, report: &Report) -> Vec<String> {
        if let Some(range) = argument(report).filter(|_| self == Horizontal::Timestep) {
            return vec![format!("t, the argument s from {} to {}", range.from, range.to), "t".into()];
        }
        let told_backwards = |model: &ModelReport| model.model.conditioning.contains("-unit");
        let labels: &[&str] = match self {
            Horizontal::Timestep if !report.models.is_empty() && report.models.iter().all(told_backwards) => {
                &["timestep t, counted from the data"]
            }
            Horizontal::Timestep => &["timestep t"],
            Horizontal::NoiseLevel if report.models.iter().all(jumps) => &["total noise σ"],
            Horizontal::NoiseLevel if report.models.iter().all(is_exploding) => {
                &["noise level σ (log-SNR λ = −2 ln σ)", "noise level σ"]
            }
            Horizontal::NoiseLevel => &["noise level σ/α (log-SNR λ = −2 ln σ/α)", "noise level σ/α"],
        };
        labels.iter().map(|label| label.to_string()).collect()
    }

    /// What the curves are over, within a sentence.
    pub fn words(self) -> &'static str {
        match self {
            Horizontal::Timestep => "the timestep t on a logarithmic axis",
            Horizontal::NoiseLevel => "the noise level on logarithmic axes",
        }
    }

    /// The end at which the data is.
    pub fn data_end(self) -> &'static str {
        match self {
            Horizontal::Timestep => "near t = 0",
            Horizontal::NoiseLevel => "towards the data, σ → 0",
        }
    }
}

/// The range of the argument, where all models have the same and no noise.
fn argument(report: &Report) -> Option<Arc<Unnoised>> {
    let mut all = report.models.iter().map(|model| model.model.schedule.as_str());
    let first = all.next()?;
    match first.parse::<ProcessSpec>() {
        Ok(ProcessSpec::Unnoised(range)) if all.all(|other| other == first) => Some(range),
        _ => None,
    }
}

/// σ/α, or σ where there is no α; where it is known and lies above 0.
fn noise_level(point: &Point) -> Option<f64> {
    let level = point.sigma? / point.alpha.unwrap_or(1.0);
    (level.is_finite() && level > 0.0).then_some(level)
}

fn is_exploding(model: &ModelReport) -> bool {
    each_point(model, |point| point.alpha == Some(1.0))
}

/// Whether it is that of a jump process: there is a noise level and no signal to lay beside it.
fn jumps(model: &ModelReport) -> bool {
    each_point(model, |point| point.alpha.is_none() && point.sigma.is_some())
}

fn each_point(model: &ModelReport, holds: impl Fn(&Point) -> bool) -> bool {
    let mut points = model.curves.iter().flat_map(|curve| &curve.points).peekable();
    points.peek().is_some() && points.all(holds)
}

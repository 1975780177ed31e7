//! The resolved plan: every setting that the numbers depend on, checked before anything is measured.

use super::args::Options;
use super::model::Model;
use crate::error::{Error, Result};
use crate::estimator::{Norm, Quantities};
use crate::measure::SampleRule;
use crate::refine::Refinement;
use crate::time::{Axis, Timestep};
use crate::timesteps::{Grid, TimestepSpec};
use serde::Serialize;
use serde_json::Value;

const DEFAULT_SAMPLES: u64 = 64;

/// Timesteps that `auto` measures at most.
const MOST_TIMESTEPS: usize = 200;

/// What is measured, apart from the models and the data.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Plan {
    /// `measure`, `compare` or `theory`.
    pub command: &'static str,
    /// Model by model: source, fingerprint and everything that gives the output a meaning.
    pub models: Vec<Value>,
    /// The clean samples.
    pub data: Value,
    /// What is estimated.
    pub quantity: Quantities,
    /// t′ − t in steps.
    pub dt: f64,
    /// Axis of the denominator.
    pub axis: Axis,
    /// Norm of the numerator.
    pub norm: Norm,
    /// Samples per timestep.
    pub samples: SampleRule,
    /// End of the window near 0.
    pub near_zero_until: Timestep,
    /// All timesteps, ascending; of `auto` those that come first.
    pub timesteps: Vec<Timestep>,
    /// How `auto` adds to them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refinement: Option<Refinement>,
    /// Seed of all streams.
    pub seed: u64,
    /// Timesteps of a range that have no t′ on the grid.
    #[serde(skip)]
    pub left_out: usize,
}

/// What was typed, parsed; still without models.
pub(super) struct Wanted {
    quantity: Quantities,
    axis: Axis,
    norm: Norm,
    rule: SampleRule,
    dt: f64,
    timesteps: TimestepSpec,
    tolerance: f64,
}

impl Wanted {
    /// Parses and checks what does not need a model.
    pub fn parse(options: &Options) -> Result<Self> {
        if !(options.dt > 0.0 && options.dt.is_finite()) {
            let next = "Give the distance in steps, such as --dt 1.";
            return Err(Error::argument("--dt", options.dt, "it is a number above 0", next));
        }
        if !(options.tolerance > 0.0 && options.tolerance < 1.0) {
            let next = "For example --tolerance 0.05; --timesteps all measures every step.";
            return Err(Error::argument("--tolerance", options.tolerance, "it lies between 0 and 1", next));
        }
        Ok(Wanted {
            quantity: options.quantity,
            axis: options.axis,
            norm: options.norm,
            rule: rule(options)?,
            dt: options.dt,
            timesteps: options.timesteps.clone(),
            tolerance: options.tolerance,
        })
    }

    /// Whether ∂/∂t is wanted.
    pub fn derivative(&self) -> bool {
        self.quantity.has_derivative()
    }

    /// Resolves against the models; all of them have the same T.
    pub fn resolve(self, command: &'static str, models: &[Model], data: Value, seed: u64) -> Result<Plan> {
        let timesteps = common_timesteps(models)?;
        let boundaries: Vec<f64> =
            models.iter().flat_map(|model| model.description.boundaries.iter().copied()).collect();
        let until = boundaries.iter().copied().reduce(f64::max).unwrap_or((timesteps / 10).max(1) as f64);
        let reach = if self.quantity.has_secant() { self.dt } else { 0.0 };
        if reach > (timesteps - 1) as f64 {
            let allowed = format!("the schedule has T = {timesteps} timesteps");
            return Err(Error::argument("--dt", reach, allowed, "Give a smaller distance."));
        }
        let grid = Grid { timesteps, reach, window: until, boundaries: &boundaries };
        let (timesteps, left_out) = self.timesteps.resolve(&grid)?;
        let refinement = (self.timesteps == TimestepSpec::Auto).then(|| Refinement {
            tolerance: self.tolerance,
            most: MOST_TIMESTEPS.max(timesteps.len()),
            window: until,
        });
        if self.quantity.has_derivative() {
            refuse_without_rate(models)?;
        }
        if self.quantity == Quantities::Spatial && (self.axis, self.norm) != (Axis::Step, Norm::L2) {
            return Err(Error::mismatch(
                "‖∂ε/∂x‖₂ has no time axis, and its norm is the spectral one",
                "Leave out --axis and --norm with --quantity spatial.",
            ));
        }
        if self.quantity.has_jacobian() {
            refuse_without_jacobian(models, self.quantity)?;
        }
        Ok(Plan {
            command,
            models: models.iter().map(describe).collect::<Result<_>>()?,
            data,
            quantity: self.quantity,
            dt: self.dt,
            axis: self.axis,
            norm: self.norm,
            samples: self.rule,
            near_zero_until: until,
            timesteps,
            refinement,
            seed,
            left_out,
        })
    }
}

impl Plan {
    /// As JSON, for the report and for `--dry-run`.
    pub fn to_json(&self) -> Result<Value> {
        serde_json::to_value(self)
            .map_err(|e| Error::mismatch(format!("the plan cannot be written ({e})"), "Report this."))
    }
}

/// What a report says about a model, with its label.
pub(super) fn describe(model: &Model) -> Result<Value> {
    let mut value = serde_json::to_value(&model.description)
        .map_err(|e| Error::mismatch(format!("the plan cannot be written ({e})"), "Report this."))?;
    if let Some(object) = value.as_object_mut() {
        object.insert("label".into(), model.label.clone().into());
    }
    Ok(value)
}

fn rule(options: &Options) -> Result<SampleRule> {
    match options.rel_error {
        None => {
            let samples = options.samples.unwrap_or(DEFAULT_SAMPLES);
            if samples == 0 {
                return Err(Error::argument("--samples", 0, "it is at least 1", "Two or more give an interval."));
            }
            Ok(SampleRule::Fixed { samples })
        }
        Some(target) if target > 0.0 && target < 1.0 && options.max_samples >= 2 => {
            Ok(SampleRule::RelativeError { target, most: options.max_samples })
        }
        Some(target) => Err(Error::argument(
            "--rel-error",
            target,
            "it lies between 0 and 1, with --max-samples of at least 2",
            "For example --rel-error 0.02 for a standard error of 2 % of the mean.",
        )),
    }
}

/// T, which all models must have in common.
pub(super) fn common_timesteps(models: &[Model]) -> Result<usize> {
    let mut counts = models.iter().map(|model| (model.description.timesteps, &model.label));
    let Some((first, label)) = counts.next() else { return Ok(1) };
    match counts.find(|(count, _)| *count != first) {
        None => Ok(first),
        Some((count, other)) => Err(Error::mismatch(
            format!("{label} has T = {first} timesteps and {other} has T = {count}"),
            "Compare models of one T, or measure them one by one.",
        )),
    }
}

fn refuse_without_jacobian(models: &[Model], quantity: Quantities) -> Result<()> {
    match models.iter().find_map(|model| model.denoiser.lacks_jacobian().map(|what| (&model.label, what))) {
        None => Ok(()),
        Some((label, what)) => Err(Error::unsupported(
            format!("--quantity {quantity} for {label}, a {what}"),
            "derivatives in x are available for diffusers folders, own checkpoints and closed forms",
            "Use --quantity secant or derivative.",
        )),
    }
}

fn refuse_without_rate(models: &[Model]) -> Result<()> {
    match models.iter().find_map(|model| model.denoiser.lacks_rate().map(|what| (&model.label, what))) {
        None => Ok(()),
        Some((label, what)) => Err(Error::unsupported(
            format!("--quantity derivative for {label}, a {what}"),
            "no way to its derivative is known",
            "Use --quantity secant.",
        )),
    }
}

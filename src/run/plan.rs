//! The resolved plan: every setting that the numbers depend on, checked before anything is measured.

use super::coordinates::{with_coordinates, with_values};
use super::refusals::{refuse_other_states, refuse_without_jacobian, refuse_without_parts, refuse_without_rate};
use crate::error::{Error, Result};
use crate::estimator::{Estimator, Norm, Quantities, estimators, no_axis};
use crate::measure::SampleRule;
use crate::model::Model;
use crate::of::{self, Of};
use crate::refine::Refinement;
use crate::report::ModelDescription;
use crate::time::{Axis, Timestep};
use crate::timesteps::{Grid, TimestepSpec};
use lipscope_core::attribution::Attribute;
use lipscope_core::options::MeasureOptions;
use serde::Serialize;
use serde_json::Value;

/// T of the schedule that is taken where nothing names one.
pub const DEFAULT_TIMESTEPS: usize = 1000;

const DEFAULT_SAMPLES: u64 = 64;

/// Timesteps that `auto` measures at most.
const MOST_TIMESTEPS: usize = 200;

/// What is measured, apart from the models and the data.
#[derive(Debug, Clone, Serialize)]
pub struct Plan {
    /// `measure`, `compare` or `theory`.
    pub command: &'static str,
    /// Model by model: source, fingerprint and everything that gives the output a meaning.
    pub models: Vec<Value>,
    /// The clean samples.
    pub data: Value,
    /// What is estimated.
    pub quantity: Quantities,
    /// Of what; ε where nothing is said.
    #[serde(skip_serializing_if = "Of::is_epsilon")]
    pub of: Of,
    /// The guidance scales, where there are several.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub guidance: Vec<f64>,
    /// t′ − t in steps.
    pub dt: f64,
    /// Axis of the denominator.
    pub axis: Axis,
    /// Norm of the numerator.
    pub norm: Norm,
    /// Samples per timestep.
    pub samples: SampleRule,
    /// Noises that each clean sample gets.
    #[serde(skip_serializing_if = "is_one")]
    pub noises: u64,
    /// What ∂ε/∂t is told apart by. The curves do not depend on it, and it can be asked for later.
    #[serde(skip)]
    pub attribute: Option<Attribute>,
    /// End of the window near 0.
    pub near_zero_until: Timestep,
    /// All timesteps, ascending; of `auto` those that come first.
    pub timesteps: Vec<Timestep>,
    /// How `auto` adds to them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refinement: Option<Refinement>,
    /// Rows of a network call at most: it decides which rows share one, and so the last bits of the numbers.
    pub batch: u64,
    /// Seed of all streams.
    pub seed: u64,
    /// Timesteps of a range that have no t′ on the grid.
    #[serde(skip)]
    pub left_out: usize,
    /// Timesteps at which the axis has no number.
    #[serde(skip)]
    pub without_coordinate: usize,
    /// Timesteps that were left out for that.
    #[serde(skip)]
    pub without_value: Option<Missing>,
}

/// Timesteps at which what is measured does not exist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    /// How many.
    pub count: usize,
    /// Why the first of them has none.
    pub reason: String,
}

/// What [`Plan::resolve`] needs to know about a model before its weights are read.
#[derive(Debug, Clone)]
pub struct Facts {
    /// Name in messages.
    pub label: String,
    /// T.
    pub timesteps: usize,
    /// Boundaries of shared sub-intervals.
    pub boundaries: Vec<f64>,
}

impl Facts {
    /// Of a model that is there.
    pub fn of(model: &Model) -> Self {
        let ModelDescription { timesteps, boundaries, .. } = &model.description;
        Facts { label: model.label.clone(), timesteps: *timesteps, boundaries: boundaries.clone() }
    }
}

/// The timesteps of a plan and what follows from them: everything that can be wrong without weights.
#[derive(Debug, Clone)]
pub struct Times {
    timesteps: Vec<Timestep>,
    left_out: usize,
    until: Timestep,
    refinement: Option<Refinement>,
}

impl Times {
    /// Resolves the options against T and the boundaries of all models.
    pub fn resolve(options: &MeasureOptions, models: &[Facts]) -> Result<Self> {
        check(options)?;
        let timesteps = common_timesteps(models)?;
        let boundaries: Vec<f64> = models.iter().flat_map(|model| model.boundaries.iter().copied()).collect();
        let until = boundaries.iter().copied().reduce(f64::max).unwrap_or((timesteps / 10).max(1) as f64);
        let reach = if options.quantity.has_secant() { options.dt } else { 0.0 };
        if reach > (timesteps - 1) as f64 {
            let allowed = format!("the schedule has T = {timesteps} timesteps");
            return Err(Error::argument("--dt", reach, allowed, "Give a smaller distance."));
        }
        let grid = Grid { timesteps, reach, window: until, boundaries: &boundaries };
        let (timesteps, left_out) = options.timesteps.resolve(&grid)?;
        let refinement = (options.timesteps == TimestepSpec::Auto).then(|| Refinement {
            tolerance: options.tolerance,
            most: MOST_TIMESTEPS.max(timesteps.len()),
            window: until,
        });
        Ok(Times { timesteps, left_out, until, refinement })
    }
}

/// The axis that all models suggest; steps where they differ, and where there is no axis.
fn default_axis(models: &[Model], quantity: Quantities) -> Axis {
    let mut axes = models.iter().map(|model| model.response.process().axis());
    match axes.next() {
        Some(axis) if quantity.has_time_axis() && axes.all(|other| other == axis) => axis,
        _ => Axis::Step,
    }
}

/// What does not depend on any model.
fn check(options: &MeasureOptions) -> Result<()> {
    if !(options.dt > 0.0 && options.dt.is_finite()) {
        let next = "Give the distance in steps, such as --dt 1.";
        return Err(Error::argument("--dt", options.dt, "it is a number above 0", next));
    }
    if !(options.tolerance > 0.0 && options.tolerance < 1.0) {
        let next = "For example --tolerance 0.05; --timesteps all measures every step.";
        return Err(Error::argument("--tolerance", options.tolerance, "it lies between 0 and 1", next));
    }
    let is_step = options.axis.is_none_or(|axis| axis == Axis::Step);
    if options.quantity == Quantities::Spatial && (!is_step || options.norm != Norm::L2) {
        return Err(Error::mismatch(
            "‖∂ε/∂x‖₂ has no time axis, and its norm is the spectral one",
            "Leave out --axis and --norm with --quantity spatial.",
        ));
    }
    if let Some(attribute) = options.attribute
        && !options.quantity.has_derivative()
    {
        let allowed = "it tells ∂ε/∂t apart, which is not measured";
        return Err(Error::argument("--attribute", attribute, allowed, "Add --quantity derivative, or both."));
    }
    if options.quantity == Quantities::Size && !is_step {
        return Err(Error::mismatch(
            "a size has no time axis: nothing is divided by a distance in time",
            "Leave out --axis with --quantity size.",
        ));
    }
    if let Some(of) = options.of.filter(|of| !of.is_epsilon())
        && options.quantity.has_jacobian()
    {
        return Err(Error::unsupported(
            format!("--quantity {} with --of {of}", options.quantity),
            "derivatives in x are there for ε only",
            "Use --quantity secant, derivative, both or size.",
        ));
    }
    rule(options).map(|_| ())
}

/// The norm of the numerator: asked for, or the only one that what is measured has.
fn norm(of: Of, options: &MeasureOptions) -> Result<Norm> {
    let refuse = |allowed: &str, next: &str| Err(Error::argument("--norm", options.norm, allowed, next));
    match (of.norm(), options.norm) {
        (Some(own), Norm::L2) => Ok(own),
        (Some(own), asked) if asked == own => Ok(own),
        (Some(_), _) => refuse("a law of jumps changes in total variation", "Leave out --norm."),
        (None, Norm::TotalVariation) => refuse("it is the distance of two laws", "Use --of jumps, or --norm l2."),
        (None, asked) => Ok(asked),
    }
}

/// Refuses a quantity that what is measured does not have.
fn check_quantity(of: Of, quantity: Quantities) -> Result<()> {
    if of != Of::Jumps || quantity != Quantities::Size {
        return Ok(());
    }
    let next = "Use --of rate for R, or --quantity secant or derivative.";
    Err(Error::mismatch("the jump law adds up to 1: it has no size", next))
}

impl Plan {
    /// Resolves the options against models that are there; all of them have the same T.
    pub fn resolve(
        command: &'static str,
        models: &[Model],
        data: Value,
        options: &MeasureOptions,
        (seed, batch): (u64, u64),
    ) -> Result<Plan> {
        let facts: Vec<Facts> = models.iter().map(Facts::of).collect();
        let Times { timesteps, left_out, until, refinement } = Times::resolve(options, &facts)?;
        refuse_other_states(models)?;
        let of = of::asked(options.of, models.first().map(|model| &*model.response));
        of::check(of, models.iter().map(|model| (model.label.as_str(), &*model.response)))?;
        let norm = norm(of, options)?;
        check_quantity(of, options.quantity)?;
        if options.quantity.has_derivative() {
            refuse_without_rate(models)?;
        }
        if let Some(attribute) = options.attribute {
            refuse_without_parts(command, models, (attribute, of))?;
        }
        if options.quantity.has_jacobian() {
            refuse_without_jacobian(models, options.quantity)?;
        }
        let axis = options.axis.unwrap_or_else(|| default_axis(models, options.quantity));
        if models.iter().any(|model| model.response.process().coordinate(axis, 0.0).is_none()) {
            return Err(no_axis(axis));
        }
        let reach = if options.quantity.has_secant() { options.dt } else { 0.0 };
        let (timesteps, without_coordinate) = with_coordinates(timesteps, models, axis, reach)?;
        let (timesteps, without_value) = with_values(timesteps, models, of, reach)?;
        Ok(Plan {
            command,
            models: models.iter().map(describe).collect::<Result<_>>()?,
            data,
            quantity: options.quantity,
            of,
            guidance: Vec::new(),
            dt: options.dt,
            axis,
            norm,
            samples: rule(options)?,
            noises: options.noises,
            attribute: options.attribute,
            near_zero_until: until,
            timesteps,
            refinement,
            batch,
            seed,
            left_out,
            without_coordinate,
            without_value,
        })
    }

    /// The estimators of one model.
    pub fn estimators(&self) -> Vec<Box<dyn Estimator>> {
        estimators(self.quantity, self.dt, self.axis, self.norm)
    }

    /// As JSON, for the report and for `--dry-run`.
    pub fn to_json(&self) -> Result<Value> {
        serde_json::to_value(self)
            .map_err(|e| Error::mismatch(format!("the plan cannot be written ({e})"), "Report this."))
    }
}

/// What a report says about a model, with its label.
pub fn describe(model: &Model) -> Result<Value> {
    let mut value = serde_json::to_value(&model.description)
        .map_err(|e| Error::mismatch(format!("the plan cannot be written ({e})"), "Report this."))?;
    if let Some(object) = value.as_object_mut() {
        object.insert("label".into(), model.label.clone().into());
    }
    Ok(value)
}

fn is_one(number: &u64) -> bool {
    *number == 1
}

/// Samples for whole rows.
fn check_noises(options: &MeasureOptions) -> Result<()> {
    let (noises, samples) = (options.noises, options.samples.unwrap_or(DEFAULT_SAMPLES));
    if noises > 1 && options.quantity == Quantities::Size {
        let allowed = "a mean square is that of samples, and not of means over noises";
        return Err(Error::argument("--noises", noises, allowed, "Leave it out with --quantity size."));
    }
    if noises >= 1 && samples % noises == 0 {
        return Ok(());
    }
    let allowed = format!("it is at least 1, and a divisor of --samples, which is {samples}");
    let rows = (samples / noises.max(1)).max(16);
    let next = format!("For {rows} rows of the data: --samples {}.", rows * noises.max(1));
    Err(Error::argument("--noises", noises, allowed, next))
}

fn rule(options: &MeasureOptions) -> Result<SampleRule> {
    check_noises(options)?;
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
pub fn common_timesteps(models: &[Facts]) -> Result<usize> {
    let Some(first) = models.first() else { return Ok(1) };
    match models.iter().find(|model| model.timesteps != first.timesteps) {
        None => Ok(first.timesteps),
        Some(other) => Err(Error::mismatch(
            format!(
                "{} has T = {} timesteps and {} has T = {}",
                first.label, first.timesteps, other.label, other.timesteps
            ),
            "Compare models of one T, or measure them one by one.",
        )),
    }
}

//! The curve that a suggestion rests on: K(t, t+1) of a report, per element.

use super::grid::on_grid;
use crate::error::{Error, Result};
use crate::lipschitz_mass::LipschitzMass;
use crate::quantity::{Norm, Quantity};
use crate::report::{Curve, ModelReport, Report};
use crate::stats::median;
use crate::time::{Axis, Timestep};

/// Steps over which K is averaged where its level is judged: a period of the fastest sinusoid of a time embedding, 2π.
const PERIOD: f64 = 6.0;

/// K of a model that shares nothing.
#[derive(Debug, Clone)]
pub struct MeasuredCurve {
    /// Label of the model.
    pub label: String,
    /// T.
    pub timesteps: usize,
    /// Mass of ε per element.
    pub mass: LipschitzMass,
    /// Mass of x̂₀ per element, (σ/α) K.
    pub x0_mass: LipschitzMass,
}

impl MeasuredCurve {
    /// The curve of secants of the model with this label, or of the first model.
    ///
    /// # Errors
    ///
    /// The report is not finished, has no such model or no curve of secants over one step on the step axis, or the model
    /// shares timesteps already.
    pub fn read(report: &Report, label: Option<&str>) -> Result<Self> {
        if !report.complete {
            let next = "Finish it: the command that began it goes on from there.";
            return Err(Error::mismatch("the run behind this report was not finished", next));
        }
        let model = find(report, label)?;
        if !model.model.boundaries.is_empty() {
            return Err(Error::mismatch(
                format!("{} shares timesteps already: its K is 0 inside the sub-intervals", model.label),
                "Choose a model that shares none with --model, or measure one.",
            ));
        }
        let curve = secants(model)?;
        let elements = model.model.sample_shape.iter().product::<i64>().max(1) as f64;
        let scale = if curve.norm == Norm::Rms { 1.0 } else { 1.0 / elements.sqrt() };
        let known = || curve.points.iter().filter_map(|point| point.mean.map(|mean| (point, mean * scale)));
        let mass: Vec<(Timestep, f64)> = known().map(|(point, k)| (point.timestep, k)).collect();
        let x0_mass: Vec<(Timestep, f64)> = known()
            .filter_map(|(point, k)| Some((point.timestep, k, point.alpha?, point.sigma?)))
            .filter(|(.., alpha, _)| *alpha > 0.0)
            .map(|(t, k, alpha, sigma)| (t, k * sigma / alpha))
            .collect();
        Ok(MeasuredCurve {
            label: model.label.clone(),
            timesteps: model.model.timesteps,
            mass: LipschitzMass::new(&mass)?,
            x0_mass: LipschitzMass::new(&x0_mass)?,
        })
    }

    /// Refuses a t̃ that the curve does not reach.
    ///
    /// # Errors
    ///
    /// The curve does not go from 0 to `until`.
    pub fn covers(&self, until: Timestep) -> Result<()> {
        let (from, end) = self.mass.span();
        if from == 0.0 && until >= 1.0 && until <= end {
            return Ok(());
        }
        Err(Error::argument(
            "--until",
            until,
            format!("the curve was measured from t = {from} to t = {end}, and sharing begins at 0"),
            "Choose an end in that range, or measure more with --timesteps.",
        ))
    }

    /// The first t after the peak of the first half from which K stays, over a period of the time embedding, at or below
    /// so many times its median over all steps; and why it is that.
    ///
    /// # Errors
    ///
    /// K is nowhere above that level, or does not come down to it.
    pub fn falls_below(&self, level: f64) -> Result<(Timestep, String)> {
        let (from, end) = self.mass.span();
        let steps: Vec<f64> = (0..(end - from) as u64).map(|i| self.k(from + i as f64)).collect();
        let threshold = level * median(&steps).unwrap_or(0.0);
        let half = &steps[..steps.len().div_ceil(2)];
        let peak = half.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1)).map_or(0, |(i, _)| i);
        if half.get(peak).is_none_or(|highest| *highest <= threshold) {
            return Err(Error::mismatch(
                format!(
                    "K of {} is nowhere near 0 above {level} times its median: there is nothing to share",
                    self.label
                ),
                "Share nothing, or say where sharing ends with --until.",
            ));
        }
        let low = |t: &Timestep| self.mass.between(*t, t + PERIOD) <= threshold * (end - t).min(PERIOD);
        let first = (peak as u64 + 1..steps.len() as u64).map(|i| from + i as f64).find(low);
        let until = first.ok_or_else(|| {
            Error::mismatch(
                format!("K of {} does not fall to {level} times its median", self.label),
                "Raise --level, or say where sharing ends with --until.",
            )
        })?;
        Ok((until, format!("where K has fallen to {level} times its median over all steps")))
    }

    /// `steps` timesteps from T−1 down to 0 with equal mass between neighbours, rounded to the grid.
    ///
    /// # Errors
    ///
    /// Fewer than two steps or more than T, or a curve that does not reach from 0 to T−1.
    pub fn step_grid(&self, steps: usize) -> Result<Vec<Timestep>> {
        let last = (self.timesteps - 1) as f64;
        if steps < 2 || steps > self.timesteps {
            let allowed = format!("a step grid has 2 to T = {} timesteps", self.timesteps);
            return Err(Error::argument("--steps", steps, allowed, "For example --steps 20."));
        }
        let (from, end) = self.mass.span();
        if from > 0.0 || end < last {
            return Err(Error::mismatch(
                format!("a step grid needs K from t = 0 to T−1 = {last}, and it was measured from {from} to {end}"),
                "Measure all of it, with --timesteps auto or all, or leave out --steps.",
            ));
        }
        let mut times = on_grid(self.mass.equal_parts(0.0, last, steps - 1).into_iter());
        times.reverse();
        Ok(times)
    }

    /// What must be known about a suggestion that ends at `until`.
    pub fn warnings(&self, until: Timestep, step_grid: &[Timestep]) -> Vec<String> {
        let measured = |t: &u64| self.mass.is_measured(*t as f64, *t as f64 + 1.0);
        let mut warnings = Vec::new();
        let missing = (0..until as u64).filter(|t| !measured(t)).count();
        if missing > 0 {
            warnings.push(format!(
                "{missing} of the {until} steps before t = {until} were not measured and lie on straight lines, which a time \
                 embedding's oscillation does not. Measure them with --timesteps 0..{until}."
            ));
        }
        if !step_grid.is_empty() {
            let all = self.timesteps as u64 - 1;
            let missing = (0..all).filter(|t| !measured(t)).count();
            if missing > 0 {
                warnings.push(format!(
                    "{missing} of the {all} steps that the step grid divides lie on straight lines between measured ones. \
                     --timesteps all measures every step."
                ));
            }
        }
        warnings
    }

    /// K of the step that begins at t.
    fn k(&self, t: Timestep) -> f64 {
        self.mass.between(t, t + 1.0)
    }
}

fn find<'a>(report: &'a Report, label: Option<&str>) -> Result<&'a ModelReport> {
    let labels: Vec<&str> = report.models.iter().map(|model| model.label.as_str()).collect();
    let model = match label {
        Some(label) => report.models.iter().find(|model| model.label == label),
        None => report.models.first(),
    };
    model.ok_or_else(|| {
        let allowed = format!("the report has {}", labels.join(", "));
        Error::argument("--model", label.unwrap_or(""), allowed, "Choose one of them.")
    })
}

/// The curve whose numbers are masses of steps.
fn secants(model: &ModelReport) -> Result<&Curve> {
    let label = &model.label;
    let again = "Measure with --quantity secant --dt 1 --axis step, which are the defaults.";
    let curve =
        model.curves.iter().find(|curve| curve.quantity == Quantity::Secant && curve.of.is_epsilon()).ok_or_else(
            || {
                let there: Vec<&str> = model.curves.iter().map(|curve| curve.quantity.name()).collect();
                Error::mismatch(
                    format!("{label} has no secants, but {}: jumps are seen by secants only", there.join(", ")),
                    again,
                )
            },
        )?;
    if curve.axis != Axis::Step {
        return Err(Error::mismatch(format!("the secants of {label} are per {}, not per step", curve.axis), again));
    }
    if curve.dt != Some(1.0) {
        let dt = curve.dt.unwrap_or(f64::NAN);
        return Err(Error::mismatch(format!("the secants of {label} are over {dt} steps, not over one"), again));
    }
    Ok(curve)
}

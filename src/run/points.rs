//! Finished timesteps as units of a [`Store`](super::Store): raw norms, covariates and costs, bit for bit.

use super::Unit;
use crate::control_variates::{Control, Covariates};
use crate::error::Result;
use crate::measure::{AtTimestep, Subject};
use crate::time::Timestep;
use lipscope_core::store::array;
use serde_json::json;
use std::time::Duration;

/// The kind of these units.
pub(super) const KIND: &str = "points";

/// What is told of a unit as a whole.
pub(super) struct Facts {
    /// Wall time.
    pub wall_seconds: f64,
    /// The batch size that was left when memory ran out.
    pub smaller_batch: Option<u64>,
}

/// The name of the unit of these timesteps.
pub(super) fn key(timesteps: &[Timestep]) -> String {
    timesteps.iter().map(Timestep::to_string).collect::<Vec<_>>().join(" ")
}

/// `0/norms/1/0`: the norms of the first timestep, second model, first estimator.
fn norms(timestep: usize, model: usize, estimator: usize) -> String {
    format!("{timestep}/norms/{model}/{estimator}")
}

fn covariates(timestep: usize) -> String {
    format!("{timestep}/covariates")
}

fn origins(timestep: usize) -> String {
    format!("{timestep}/rows")
}

fn whole(numbers: &[f64]) -> Vec<usize> {
    numbers.iter().map(|number| *number as usize).collect()
}

/// The unit of some timesteps.
pub(super) fn encode(key: &str, points: &[AtTimestep], facts: &Facts) -> Result<Unit> {
    let seconds = |point: &AtTimestep| point.seconds.iter().map(Duration::as_secs_f64).collect::<Vec<f64>>();
    let about = json!({
        "unconverged": points.iter().map(|point| &point.unconverged).collect::<Vec<_>>(),
        "evaluations": points.iter().map(|point| &point.evaluations).collect::<Vec<_>>(),
        "seconds": points.iter().map(seconds).collect::<Vec<_>>(),
        "wall_seconds": facts.wall_seconds,
        "smaller_batch": facts.smaller_batch,
    });
    let mut unit = Unit::new(KIND, key, about);
    for (i, point) in points.iter().enumerate() {
        for (m, of_model) in point.norms.iter().enumerate() {
            for (e, values) in of_model.iter().enumerate() {
                unit = unit.with(norms(i, m, e), array(&[values.len()], values)?);
            }
        }
        let rows = &point.control.covariates;
        let width = rows.first().map_or(0, |row| row.len());
        if !point.rows.is_empty() {
            let rows: Vec<f64> = point.rows.iter().map(|row| *row as f64).collect();
            unit = unit.with(origins(i), array(&[rows.len()], &rows)?);
        }
        unit = unit.with(covariates(i), array(&[rows.len(), width], rows.as_flattened())?);
    }
    Ok(unit)
}

/// The timesteps of a unit; `expected` are the expectations of their covariates, and `by_row` says whether samples are rows of
/// the data.
pub(super) fn decode(
    unit: &Unit,
    timesteps: &[Timestep],
    subjects: &[Subject],
    (expected, by_row): (Option<Covariates>, bool),
) -> Result<(Vec<AtTimestep>, Facts)> {
    let unconverged: Vec<Vec<Vec<u64>>> = unit.said("unconverged")?;
    let evaluations: Vec<Vec<u64>> = unit.said("evaluations")?;
    let seconds: Vec<Vec<f64>> = unit.said("seconds")?;
    let mut points = Vec::with_capacity(timesteps.len());
    let costs = unconverged.into_iter().zip(evaluations).zip(seconds);
    for (i, (&t, ((unconverged, evaluations), seconds))) in timesteps.iter().zip(costs).enumerate() {
        let of_model = |(m, subject): (usize, &Subject)| {
            (0..subject.curves().len()).map(|e| unit.numbers(&norms(i, m, e))).collect::<Result<Vec<_>>>()
        };
        let flat = unit.numbers(&covariates(i))?;
        points.push(AtTimestep {
            t,
            rows: if by_row { whole(&unit.numbers(&origins(i))?) } else { Vec::new() },
            norms: subjects.iter().enumerate().map(of_model).collect::<Result<_>>()?,
            control: Control { covariates: flat.as_chunks().0.to_vec(), expected },
            unconverged,
            evaluations,
            seconds: seconds.into_iter().map(Duration::from_secs_f64).collect(),
        });
    }
    let facts = Facts { wall_seconds: unit.said("wall_seconds")?, smaller_batch: unit.said("smaller_batch")? };
    Ok((points, facts))
}

//! `--attribute`: after the curves, ∂ε/∂t of every model in parts, timestep by timestep.

use super::plan::Plan;
use super::{Store, Unit, Watch, points};
use crate::attribution::{SAMPLES, Settings, TIMESTEPS, attribute, parts};
use crate::draws::Draws;
use crate::error::{Error, Result};
use crate::estimator::Quantity;
use crate::measure::{SampleRule, Subject};
use crate::report::{Attribution, Curve, Report};
use crate::time::Timestep;
use lipscope_core::attribution::Attribute;
use lipscope_core::timesteps::spread;
use serde_json::json;
use std::time::Instant;

const KIND: &str = "attribution";

/// Measures what is not in the store yet; `false` if the watcher stopped it.
pub(super) fn measure(
    what: Attribute,
    subjects: &[Subject],
    draws: &Draws,
    report: &mut Report,
    (plan, mut store, watch): (&Plan, Option<&mut Store>, &dyn Watch),
) -> Result<bool> {
    let samples = match plan.samples {
        SampleRule::Fixed { samples } => samples.min(SAMPLES),
        SampleRule::RelativeError { .. } => SAMPLES,
    };
    let settings = Settings { axis: plan.axis, norm: plan.norm, samples };
    watch.begin((subjects.len() * TIMESTEPS) as u64, "timesteps in parts");
    let together = (plan.batch / samples.max(1)).max(1) as usize;
    for (m, subject) in subjects.iter().enumerate() {
        let response = subject.response.rate_parts().map_err(|why| Error::mismatch(why, "Leave out --attribute."))?;
        let model = &mut report.models[m];
        let Some(curve) = model.curves.iter().find(|curve| curve.quantity == Quantity::Derivative) else { continue };
        let mut found = Attribution {
            samples,
            unit: curve.unit.clone(),
            rows: Vec::new(),
            function_evaluations: 0,
            wall_seconds: 0.0,
        };
        let mut known = None;
        for unit in timesteps(curve).chunks(together) {
            let key = format!("{what} {m}: {}", points::key(unit));
            let stored = store.as_ref().and_then(|store| store.get(KIND, &key));
            let (rows, evaluations, seconds) = match stored {
                Some(stored) => (stored.said("rows")?, stored.said("evaluations")?, stored.said("seconds")?),
                None => {
                    let began = Instant::now();
                    let all = match known.take() {
                        Some(all) => all,
                        None => parts(response, draws, unit[0], what)?,
                    };
                    let (rows, evaluations) = attribute((response, &all), draws, unit, &settings)?;
                    known = Some(all);
                    let seconds = began.elapsed().as_secs_f64();
                    if let Some(store) = store.as_deref_mut() {
                        let about = json!({"rows": rows, "evaluations": evaluations, "seconds": seconds});
                        store.add(Unit::new(KIND, key, about));
                        store.keep()?;
                    }
                    (rows, evaluations, seconds)
                }
            };
            found.rows.extend(rows);
            found.function_evaluations += evaluations;
            found.wall_seconds += seconds;
            unit.iter().for_each(|_| watch.advance());
            if !watch.goes_on() {
                return Ok(false);
            }
        }
        report.provenance.wall_seconds += found.wall_seconds;
        model.attribution = Some(found);
    }
    watch.end();
    Ok(true)
}

/// Some of those at which the curve has a number: a derivative does not exist where a timestep map jumps.
fn timesteps(curve: &Curve) -> Vec<Timestep> {
    let measured = curve.points.iter().filter(|point| point.mean.is_some()).map(|point| point.timestep);
    spread(&measured.collect::<Vec<Timestep>>(), TIMESTEPS)
}

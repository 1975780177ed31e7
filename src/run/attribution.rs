//! `--attribute`: after the curves, ∂ε/∂t of every model in parts, timestep by timestep.

use super::plan::Plan;
use super::{Store, Unit, Watch, points};
use crate::attribution::{SAMPLES, Settings, TIMESTEPS, attribute, parts};
use crate::denoiser::RateParts;
use crate::draws::Draws;
use crate::error::{Error, Result};
use crate::estimator::Quantity;
use crate::measure::{SampleRule, Subject};
use crate::report::{Attribution, Curve, PartRow, Report, Warning};
use crate::time::Timestep;
use lipscope_core::attribution::Attribute;
use lipscope_core::timesteps::spread;
use serde_json::json;
use std::time::Instant;

const KIND: &str = "attribution";

/// What all models have in common.
struct Job<'a> {
    what: Attribute,
    settings: Settings,
    /// Timesteps of a unit, which share a batch where it holds them.
    together: usize,
    draws: &'a Draws,
    watch: &'a dyn Watch,
}

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
    // Where memory ran out for the curves, it would again.
    let smaller = |warning: &Warning| match warning {
        Warning::SmallerBatch { batch } => Some(*batch),
        _ => None,
    };
    let batch = report.warnings.iter().find_map(smaller).unwrap_or(plan.batch);
    let settings = Settings { axis: plan.axis, norm: plan.norm, samples, batch };
    let together = (plan.batch / samples.max(1)).max(1) as usize;
    let job = Job { what, settings, together, draws, watch };
    let derivative = |curve: &&Curve| curve.quantity == Quantity::Derivative;
    let times = |curve: &Curve| timesteps(curve).len() as u64;
    let curves = || report.models.iter().flat_map(|model| &model.curves).filter(derivative);
    watch.begin(curves().map(times).sum(), "timesteps in parts");
    let keys = report.models.iter().enumerate().flat_map(|(m, model)| {
        let curve = model.curves.iter().find(derivative);
        curve.map(|curve| job.keys(m, curve)).into_iter().flatten()
    });
    if let Some(store) = store.as_deref_mut() {
        store.expect(KIND, keys.collect())?;
    }
    for (m, (subject, model)) in subjects.iter().zip(&mut report.models).enumerate() {
        let response = subject.response.rate_parts().map_err(|why| Error::mismatch(why, "Leave out --attribute."))?;
        let Some(curve) = model.curves.iter().find(derivative) else { continue };
        let Some(found) = job.of_model(m, response, curve, store.as_deref_mut())? else { return Ok(false) };
        report.provenance.wall_seconds += found.wall_seconds;
        model.attribution = Some(found);
    }
    watch.end();
    Ok(true)
}

impl Job<'_> {
    /// Names of the units of model `m`.
    fn keys(&self, m: usize, curve: &Curve) -> Vec<String> {
        timesteps(curve).chunks(self.together).map(|unit| self.key(m, unit)).collect()
    }

    fn key(&self, m: usize, unit: &[Timestep]) -> String {
        format!("{} {m}: {}", self.what, points::key(unit))
    }

    /// The parts of model `m` at some timesteps of its curve, without those that other shards do; `None` if the watcher
    /// stopped it.
    fn of_model(
        &self,
        m: usize,
        response: &dyn RateParts,
        curve: &Curve,
        mut store: Option<&mut Store>,
    ) -> Result<Option<Attribution>> {
        let mut found = Attribution {
            samples: self.settings.samples,
            unit: curve.unit.clone(),
            rows: Vec::new(),
            function_evaluations: 0,
            wall_seconds: 0.0,
        };
        let mut known = None;
        for unit in timesteps(curve).chunks(self.together) {
            let key = self.key(m, unit);
            if store.as_deref_mut().is_some_and(|store| store.leaves(KIND, &key)) {
                unit.iter().for_each(|_| self.watch.advance());
                continue;
            }
            let stored = store.as_ref().and_then(|store| store.get(KIND, &key));
            let (rows, evaluations, seconds): (Vec<PartRow>, u64, f64) = match stored {
                Some(stored) => (stored.said("rows")?, stored.said("evaluations")?, stored.said("seconds")?),
                None => {
                    let began = Instant::now();
                    let all = match known.take() {
                        Some(all) => all,
                        None => parts(response, self.draws, unit[0], self.what)?,
                    };
                    let (rows, evaluations) = attribute((response, &all), self.draws, unit, &self.settings)?;
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
            unit.iter().for_each(|_| self.watch.advance());
            if !self.watch.goes_on() {
                return Ok(None);
            }
        }
        Ok(Some(found))
    }
}

/// Some of those at which the curve has a number: a derivative does not exist where a timestep map jumps.
fn timesteps(curve: &Curve) -> Vec<Timestep> {
    let measured = curve.points.iter().filter(|point| point.mean.is_some()).map(|point| point.timestep);
    spread(&measured.collect::<Vec<Timestep>>(), TIMESTEPS)
}

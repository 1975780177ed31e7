//! The perturbation test as a run: one timestep is one unit.

use super::{Changes, Entry, Settings, measure, tidy};
use crate::clean_data;
use crate::denoiser::Denoiser;
use crate::device;
use crate::error::{Error, Result};
use crate::model::{Derivatives, Model};
use crate::report::{TidyReport, Warning, tidy_files};
use crate::run::setup::{self, Completed, Setup};
use crate::run::{
    Facts, Folder, Store, Unit, Watch, before_weights, common_timesteps, describe, interrupted, provenance,
    told_of_parts,
};
use crate::time::Timestep;
use crate::timesteps::{Grid, TimestepSpec};
use lipscope_core::cli::args::{Share, StabilityArgs};
use lipscope_core::store::array;
use serde_json::{Value, json};
use std::path::Path;
use std::time::Instant;
use tch::Device;

/// The kind of the units.
const KIND: &str = "stability";

/// Every so many steps of the window near 0. Not a divisor of the usual lengths of sub-intervals, so that a shared
/// timestep's boundaries are met about as often as they occur.
const STRIDE: f64 = 3.0;

/// A perturbation test, resolved and checked, with its models.
pub struct Study {
    plan: Value,
    completed: Completed,
    settings: Settings,
    seed: u64,
    device: Device,
}

impl Study {
    /// Resolves what was asked for.
    ///
    /// # Errors
    /// What [`Model::load`] refuses, models that do not fit each other, and timesteps beyond their schedules.
    pub fn new(args: &StabilityArgs, setup: &Setup) -> Result<Self> {
        let arithmetic = setup.arithmetic(args.model.dtype)?;
        before_weights::denoisers("stability", &args.checkpoints, &args.model, &args.data)?;
        let opened = setup::open_all(&args.checkpoints, &args.label, &args.data, &args.model, arithmetic)?;
        let share = args.model.share.as_ref();
        let shares: Vec<Option<&Share>> = (0..opened.len()).map(|i| share.filter(|_| i > 0)).collect();
        let mut completed =
            setup::complete(opened, &shares, (&args.data, &args.model), arithmetic, Derivatives::default())?;
        completed.models.iter_mut().for_each(Model::follow_time);
        let settings = settings(args, &completed.models, setup.cut_for(arithmetic.0))?;
        let models = &completed.models;
        if models.windows(2).any(|pair| pair[0].description.schedule != pair[1].description.schedule) {
            completed.warnings.push(Warning::SchedulesDiffer);
        }
        let models = &completed.models;
        let data = match &completed.data {
            Some(data) => data.description.clone(),
            None => clean_data::model_samples(models),
        };
        let plan = json!({
            "command": "stability",
            "models": models.iter().map(describe).collect::<Result<Vec<Value>>>()?,
            "data": data,
            "timesteps": settings.timesteps,
            "sizes": settings.sizes,
            "time_steps": settings.time_steps,
            "samples": settings.samples,
            "norm": settings.norm.name(),
            "batch": settings.batch,
            "seed": setup.seed,
        });
        Ok(Study { plan, completed, settings, seed: setup.seed, device: arithmetic.0 })
    }

    /// Everything that the numbers depend on.
    pub fn plan(&self) -> &Value {
        &self.plan
    }

    /// The folder that was named, else the default one.
    pub fn folder(&self, named: Option<&Path>) -> Folder {
        let labels = self.completed.models.iter().map(|model| model.label.as_str());
        Folder::new(named, || setup::default_folder("stability", labels))
    }

    /// Measures the timesteps that the store does not hold yet, and gives the report.
    ///
    /// # Errors
    /// [`Error::Interrupted`] where the watcher stopped it: a partial report is in the store's folder then.
    pub fn run(&self, store: &mut Store, watch: &dyn Watch) -> Result<TidyReport> {
        let Completed { models, data, .. } = &self.completed;
        let source = data.as_ref().map(|data| &data.source);
        let draws = clean_data::draws(models, source, (self.settings.batch, self.seed), Some(store), watch)?;
        let Some(draws) = draws else { return Err(interrupted(Some(store))) };
        let denoisers: Vec<&dyn Denoiser> = models.iter().map(Model::denoiser).collect::<Result<_>>()?;
        watch.begin(self.settings.timesteps.len() as u64, "timesteps");
        store.expect(KIND, self.settings.timesteps.iter().map(Timestep::to_string).collect())?;
        let (mut all, mut wall_seconds, mut smallest) = (Vec::new(), 0.0, self.settings.batch);
        for &t in &self.settings.timesteps {
            let key = t.to_string();
            if let Some(stored) = store.get(KIND, &key) {
                all.extend(decode(stored, t, &self.settings, models.len())?);
                wall_seconds += stored.said::<f64>("wall_seconds")?;
                smallest = smallest.min(stored.said("batch")?);
                watch.skip(1);
                continue;
            }
            if store.leaves(KIND, &key) {
                watch.skip(1);
                continue;
            }
            let began = Instant::now();
            let here = Settings { timesteps: vec![t], batch: smallest, ..self.settings.clone() };
            let mut finished = Vec::new();
            let (complete, batch) = measure(&denoisers, &draws, &here, &|| watch.goes_on(), &mut |changes| {
                finished = changes;
                Ok(())
            })?;
            smallest = batch;
            if !complete {
                store.publish(&tidy_files(&self.report(&all, wall_seconds, smallest), &[])?)?;
                return Err(interrupted(Some(store)));
            }
            let spent = began.elapsed().as_secs_f64();
            wall_seconds += spent;
            store.add(encode(&key, &finished, json!({ "wall_seconds": spent, "batch": batch }))?);
            all.extend(finished);
            watch.advance();
            if store.is_due() {
                store.publish(&tidy_files(&self.report(&all, wall_seconds, smallest), &[])?)?;
            }
        }
        watch.end();
        store.end_of_shard(false)?;
        let mut report = TidyReport { complete: true, ..self.report(&all, wall_seconds, smallest) };
        told_of_parts(store, &mut report.provenance, &mut report.warnings);
        Ok(report)
    }

    fn report(&self, all: &[Changes], wall_seconds: f64, batch: u64) -> TidyReport {
        let entry =
            |model: &Model| Entry { label: model.label.clone(), shares: !model.description.boundaries.is_empty() };
        let entries: Vec<Entry> = self.completed.models.iter().map(entry).collect();
        let smaller = (batch < self.settings.batch).then_some(Warning::SmallerBatch { batch });
        let warnings = self.completed.warnings.iter().cloned().chain(smaller).collect();
        let mut provenance = provenance(self.plan.clone(), device::name(self.device));
        provenance.wall_seconds = wall_seconds;
        tidy(&entries, all, self.settings.norm.name(), provenance, warnings)
    }
}

/// `x/0.1/0`: the changes under the perturbation of x by 0.1, of the first model.
fn name(changes: &Changes, model: usize, what: &str) -> String {
    format!("{}/{}/{model}/{what}", changes.perturbed.name(), changes.size)
}

fn encode(key: &str, all: &[Changes], about: Value) -> Result<Unit> {
    let mut unit = Unit::new(KIND, key, about);
    for changes in all {
        for (m, (norms, relative)) in changes.changes.iter().zip(&changes.amplifications).enumerate() {
            unit = unit.with(name(changes, m, "changes"), array(&[norms.len()], norms)?);
            unit = unit.with(name(changes, m, "amplifications"), array(&[relative.len()], relative)?);
        }
    }
    Ok(unit)
}

fn decode(unit: &Unit, t: f64, settings: &Settings, models: usize) -> Result<Vec<Changes>> {
    let mut all = super::empty(t, models, settings);
    for changes in &mut all {
        for m in 0..models {
            let (norms, relative) = (name(changes, m, "changes"), name(changes, m, "amplifications"));
            changes.changes[m] = unit.numbers(&norms)?;
            changes.amplifications[m] = unit.numbers(&relative)?;
        }
    }
    Ok(all)
}

fn settings(args: &StabilityArgs, models: &[Model], device: Device) -> Result<Settings> {
    let (sizes, time_steps) = (args.sizes.0.clone(), args.time_steps.0.clone());
    if sizes.is_empty() && time_steps.is_empty() {
        return Err(Error::mismatch(
            "--sizes none and --time-steps none leave nothing to perturb",
            "Give one of them.",
        ));
    }
    if args.samples == 0 {
        return Err(Error::argument("--samples", 0, "it is at least 1", "Two or more give an interval."));
    }
    let facts: Vec<Facts> = models.iter().map(Facts::of).collect();
    let total = common_timesteps(&facts)?;
    let window = (total / 10).max(1);
    let spec = match &args.timesteps {
        Some(spec) => spec.clone(),
        None => TimestepSpec::Range { from: 0.0, until: window as f64, step: STRIDE },
    };
    let reach = time_steps.iter().copied().fold(0.0, f64::max);
    let grid = Grid { timesteps: total, reach: 0.0, window: window as f64, boundaries: &[] };
    let timesteps = spec.resolve(&grid)?.0;
    let last = timesteps.last().copied().unwrap_or(0.0);
    if last + reach > (total - 1) as f64 {
        let allowed = format!("the last timestep is {last} and the schedule ends at {}", total - 1);
        return Err(Error::argument("--time-steps", &args.time_steps, allowed, "Give smaller steps, or --timesteps."));
    }
    let shape = models.first().map(|model| model.response.sample_shape().to_vec()).unwrap_or_default();
    Ok(Settings {
        timesteps,
        sizes,
        time_steps,
        samples: args.samples,
        batch: setup::batch(args.batch, &shape, device),
        norm: args.norm,
    })
}

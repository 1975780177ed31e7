//! `lipscope stability CKPT…`: the perturbation test.

use super::args::{Global, Share, StabilityArgs};
use super::model::Model;
use super::plan::{common_timesteps, describe};
use super::prepare::{self, Completed};
use super::progress::{Progress, watch_interrupts};
use super::{Outcome, clean_samples, job, output};
use crate::denoiser::Denoiser;
use crate::device;
use crate::error::{Error, Result};
use crate::report::{self, FigureFormat, Provenance, TidyReport, Warning, write_tidy};
use crate::stability::{self, Changes, Entry, Settings};
use crate::timesteps::{Grid, TimestepSpec};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tch::Device;

/// Every so many steps of the window near 0. Not a divisor of the usual lengths of sub-intervals, so that a shared
/// timestep's boundaries are met about as often as they occur.
const STRIDE: u64 = 3;

/// A partial report is written at most this often.
const WRITE_EVERY: Duration = Duration::from_secs(2);

/// Perturbs, writes and presents.
pub(super) fn run(args: &StabilityArgs, global: &Global) -> Result<Option<Outcome>> {
    let formats = args.figures.plot.clone().unwrap_or_default();
    let arithmetic = prepare::arithmetic(global, args.model.dtype)?;
    let opened = prepare::open_all(&args.checkpoints, &args.label, &args.data, &args.model, arithmetic.0)?;
    let share = args.model.share.as_ref();
    let shares: Vec<Option<&Share>> = (0..opened.len()).map(|i| share.filter(|_| i > 0)).collect();
    let completed = prepare::complete(opened, &shares, (&args.data, &args.model), arithmetic, false)?;
    let settings = settings(args, &completed.models, arithmetic.0)?;
    let job = Job::new(args, completed, settings, (global, formats, arithmetic.0))?;
    if global.dry_run {
        return output::print_json(&job.plan);
    }
    job.carry_out(global)
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
    let total = common_timesteps(models)?;
    let window = (total / 10).max(1);
    let spec = match &args.timesteps {
        Some(spec) => spec.clone(),
        None => TimestepSpec::Range { from: 0, until: window as u64, step: STRIDE },
    };
    let reach = time_steps.iter().copied().fold(0.0, f64::max);
    let grid = Grid { timesteps: total, reach: 0.0, window: window as f64, boundaries: &[] };
    let timesteps = spec.resolve(&grid)?.0;
    let last = timesteps.last().copied().unwrap_or(0.0);
    if last + reach > (total - 1) as f64 {
        let allowed = format!("the last timestep is {last} and the schedule ends at {}", total - 1);
        return Err(Error::argument("--time-steps", &args.time_steps, allowed, "Give smaller steps, or --timesteps."));
    }
    let shape = models.first().map(|model| model.denoiser.sample_shape().to_vec()).unwrap_or_default();
    Ok(Settings {
        timesteps,
        sizes,
        time_steps,
        samples: args.samples,
        batch: prepare::batch(args.batch, &shape, device),
        norm: args.norm,
    })
}

/// A resolved run.
struct Job {
    plan: Value,
    completed: Completed,
    settings: Settings,
    seed: u64,
    device: Device,
    out: PathBuf,
    formats: Vec<FigureFormat>,
}

impl Job {
    fn new(
        args: &StabilityArgs,
        mut completed: Completed,
        settings: Settings,
        (global, formats, device): (&Global, Vec<FigureFormat>, Device),
    ) -> Result<Job> {
        let models = &completed.models;
        if models.windows(2).any(|pair| pair[0].description.schedule != pair[1].description.schedule) {
            completed.warnings.push(Warning::SchedulesDiffer);
        }
        let data = match &completed.data {
            Some(data) => data.description.clone(),
            None => clean_samples::model_samples(models),
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
            "seed": global.seed,
        });
        let out = args.out.clone().unwrap_or_else(|| prepare::default_out("stability", models));
        Ok(Job { plan, settings, seed: global.seed, device, out, formats, completed })
    }

    fn carry_out(&self, global: &Global) -> Result<Option<Outcome>> {
        report::prepare_dir(&self.out)?;
        let stopped = watch_interrupts()?;
        let Completed { models, data, .. } = &self.completed;
        let source = data.as_ref().map(|data| &data.source);
        let draws = clean_samples::draws(models, source, (self.settings.batch, self.seed), global.quiet, &stopped)?;
        let Some(draws) = draws else { return Err(interrupted(&self.out)) };
        let denoisers: Vec<&dyn Denoiser> = models.iter().map(|model| &*model.denoiser).collect();
        let provenance = job::provenance(self.plan.clone(), device::name(self.device));
        let progress = Progress::new(self.settings.timesteps.len() as u64, "timesteps", global.quiet, &stopped);
        let (began, mut written) = (Instant::now(), Instant::now());
        let mut all: Vec<Changes> = Vec::new();
        let tidy = |all: &[Changes], warnings: Vec<Warning>| {
            let provenance = Provenance { wall_seconds: began.elapsed().as_secs_f64(), ..provenance.clone() };
            self.tidy(all, provenance, warnings)
        };
        let mut finished = |changes: Vec<Changes>| {
            all.extend(changes);
            if written.elapsed() > WRITE_EVERY {
                write_tidy(&tidy(&all, Vec::new()), &self.out, &[])?;
                written = Instant::now();
            }
            progress.advance();
            Ok(())
        };
        let (complete, batch) =
            stability::measure(&denoisers, &draws, &self.settings, &|| progress.goes_on(), &mut finished)?;
        drop(progress);
        let smaller = (batch < self.settings.batch).then_some(Warning::SmallerBatch { batch });
        let mut found = tidy(&all, smaller.into_iter().collect());
        found.complete = complete;
        write_tidy(&found, &self.out, if found.complete { &self.formats } else { &[] })?;
        if !found.complete {
            return Err(interrupted(&self.out));
        }
        self.present(&found, global)
    }

    fn tidy(&self, all: &[Changes], provenance: Provenance, warnings: Vec<Warning>) -> TidyReport {
        let entry =
            |model: &Model| Entry { label: model.label.clone(), shares: !model.description.boundaries.is_empty() };
        let entries: Vec<Entry> = self.completed.models.iter().map(entry).collect();
        let warnings = self.completed.warnings.iter().cloned().chain(warnings).collect();
        stability::tidy(&entries, all, self.settings.norm.name(), self.seed, provenance, warnings)
    }

    fn present(&self, found: &TidyReport, global: &Global) -> Result<Option<Outcome>> {
        found.warnings.iter().for_each(|warning| output::warn(&warning.to_string()));
        if global.json {
            return output::print_json(found);
        }
        if global.quiet {
            return Ok(None);
        }
        let mut files = vec!["report.json".to_string()];
        files.extend(found.tables.iter().map(|table| format!("{}.csv", table.name)));
        for chart in &found.charts {
            files.extend(self.formats.iter().map(|format| format!("{}.{}", chart.name, format.extension())));
        }
        let tables = found.tables.iter().take(1).map(|table| report::tidy_text(table, output::width()));
        output::print(&format!(
            "{}\n\n{}\n\nfiles in {}: {}\n",
            tables.collect::<Vec<_>>().join("\n\n"),
            found.reading.join("\n"),
            self.out.display(),
            files.join(", ")
        ))
    }
}

fn interrupted(out: &Path) -> Error {
    Error::Interrupted {
        next: format!("The timesteps that were finished are in {}; the same command begins anew.", out.display()),
    }
}

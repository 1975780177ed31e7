//! `lipscope sample`: a checkpoint → a resolved plan → batches of samples → numbers, a picture, and how they came about.

use super::args::{BatchSize, Clip, Global, SampleArgs};
use super::model::Model;
use super::prepare::{self, Completed};
use super::progress::{Progress, watch_interrupts};
use super::{Outcome, job, output, plan};
use crate::device;
use crate::error::{Doing, Error, Result};
use crate::report::{self, Artifact, SCHEMA_VERSION, SampleFormat, SampleReport, SampleSet, Warning};
use crate::sampler::{self, Path, Sampling, spacing};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tch::{Device, Kind, Tensor};

/// The account of the samples.
const ACCOUNT: &str = "sample.json";

/// `--batch auto` of points, which take a network little memory.
const POINTS: u64 = 1024;

/// Everything that making samples needs.
struct Prepared {
    model: Model,
    sampling: Sampling,
    plan: Value,
    samples: u64,
    batch: u64,
    device: Device,
    format: SampleFormat,
    warnings: Vec<Warning>,
    out: PathBuf,
}

/// Makes samples.
pub(super) fn run(args: &SampleArgs, global: &Global) -> Result<Option<Outcome>> {
    let prepared = prepare(args, global)?;
    if global.dry_run {
        return output::print(&output::json(&prepared.plan)?);
    }
    report::prepare_dir(&prepared.out)?;
    let began = Instant::now();
    let mut provenance = job::provenance(prepared.plan.clone(), device::name(prepared.device));
    let set = draw(&prepared, global)?;
    let wall = began.elapsed();
    provenance.wall_seconds = wall.as_secs_f64();
    let Prepared { model, sampling, plan, samples, format, mut warnings, out, .. } = prepared;
    let mut artifacts = vec![set.file(format, &output::json(&plan)?)?];
    artifacts.extend(set.picture()?);
    let non_finite = set.non_finite();
    if non_finite > 0 {
        warnings.push(Warning::NonFiniteSamples { model: model.label.clone(), count: non_finite, of: samples });
    }
    let moments = set.moments();
    let account = SampleReport {
        schema_version: SCHEMA_VERSION,
        command: "sample".into(),
        provenance,
        samples,
        nfe: Path::new(&*model.denoiser, &sampling)?.nfe() as u64,
        non_finite,
        mean: moments.map(|[mean, ..]| mean),
        std: moments.map(|[_, std, ..]| std),
        min: moments.map(|[_, _, min, _]| min),
        max: moments.map(|[.., max]| max),
        files: artifacts.iter().map(|artifact| artifact.file_name.clone()).collect(),
        warnings,
    };
    artifacts.push(Artifact::new(ACCOUNT, output::json(&account)?));
    report::write_all(&out, &artifacts)?;
    present(&account, &model.label, &sampling, (wall, &out), global)
}

fn prepare(args: &SampleArgs, global: &Global) -> Result<Prepared> {
    let (device, kind) = prepare::arithmetic(global, args.model.dtype)?;
    if args.samples == 0 {
        return Err(Error::argument("--samples", 0, "it is at least 1", "Give the number of samples to make."));
    }
    let labels: Vec<String> = args.label.iter().cloned().collect();
    let opened = prepare::open_all(&[&args.checkpoint], &labels, &args.data, &args.model, device)?;
    let share = [args.model.share.as_ref()];
    let completed = prepare::complete(opened, &share, (&args.data, &args.model), (device, kind), false)?;
    let Completed { mut models, warnings, .. } = completed;
    let out = args.out.clone().unwrap_or_else(|| prepare::default_out("sample", &models));
    let Some(model) = models.pop() else {
        return Err(Error::mismatch("there is no model", "Name a checkpoint."));
    };
    let (sampling, path) = sampling((&args.sampler, &args.spacing, args.nfe, args.clip), &model)?;
    let plan = json!({
        "command": "sample",
        "model": plan::describe(&model)?,
        "sampling": describe(&sampling, &path),
        "samples": args.samples,
        "seed": global.seed,
    });
    let batch = batch(args.batch, model.denoiser.sample_shape(), device);
    Ok(Prepared { sampling, plan, samples: args.samples, batch, device, format: args.format, warnings, out, model })
}

/// `--batch`, for samples without tangents.
pub(super) fn batch(asked: BatchSize, shape: &[i64], device: Device) -> u64 {
    match asked {
        BatchSize::Auto if shape.len() == 1 => POINTS,
        asked => prepare::batch(asked, shape, device),
    }
}

/// `--sampler`, `--spacing`, `--nfe` and `--clip` as they are typed, completed by the model; an impossible budget is refused.
pub(super) fn sampling(
    (sampler, spacing, nfe, clip): (&str, &str, usize, Clip),
    model: &Model,
) -> Result<(Sampling, Path)> {
    let sampler = sampler::parse(sampler)?;
    let clip = sampler::clip(clip, model.clip, &*sampler);
    let sampling = Sampling { sampler, spacing: spacing::parse(spacing)?, nfe, clip };
    let path = Path::new(&*model.denoiser, &sampling)?;
    Ok((sampling, path))
}

/// A sampling in a plan.
pub(super) fn describe(sampling: &Sampling, path: &Path) -> Value {
    json!({
        "sampler": sampling.sampler.name(),
        "order": sampling.sampler.order(),
        "spacing": sampling.spacing.name(),
        "nfe": path.nfe(),
        "clip": sampling.clip,
        "timesteps": path.timesteps,
        "evaluations": path.evaluations,
    })
}

fn draw(prepared: &Prepared, global: &Global) -> Result<SampleSet> {
    let Prepared { model, sampling, samples, batch, .. } = prepared;
    let stopped = watch_interrupts()?;
    let batches = samples.div_ceil(*batch);
    let progress = Progress::new(batches * sampling.nfe as u64, "network calls", global.quiet, &stopped);
    let mut values = Vec::new();
    for first in (0..*samples).step_by(*batch as usize) {
        let here = first..first.saturating_add(*batch).min(*samples);
        let drawn = sampler::draw(&*model.denoiser, sampling, global.seed, here, &mut || progress.advance())?;
        let Some(drawn) = drawn else {
            return Err(Error::Interrupted {
                next: "Nothing was written; start again, with fewer --samples if need be.".into(),
            });
        };
        values.extend(fetch(&drawn)?);
    }
    Ok(SampleSet { values, shape: model.denoiser.sample_shape().to_vec() })
}

/// A tensor's numbers, row by row.
pub(super) fn fetch(x: &Tensor) -> Result<Vec<f32>> {
    let doing = "fetching samples";
    let flat = x.f_to_kind(Kind::Float).and_then(|v| v.f_to_device(Device::Cpu)).and_then(|v| v.f_contiguous());
    let flat = flat.doing(doing)?;
    let mut rows = vec![0.0f32; flat.numel()];
    flat.f_copy_data(&mut rows, flat.numel()).doing(doing)?;
    Ok(rows)
}

fn present(
    account: &SampleReport,
    label: &str,
    sampling: &Sampling,
    (wall, out): (Duration, &std::path::Path),
    global: &Global,
) -> Result<Option<Outcome>> {
    account.warnings.iter().for_each(|warning| output::warn(&warning.to_string()));
    if global.json {
        return output::print(&output::json(account)?);
    }
    if global.quiet {
        return Ok(None);
    }
    let SampleReport { samples, nfe, .. } = account;
    let clipped = sampling.clip.map_or(String::new(), |clip| format!(", clamped to ±{clip}"));
    let seconds = wall.as_secs_f64();
    output::print(&format!(
        "{samples} samples of {label} by {}, {nfe} network evaluations each, steps by {}{clipped}, in {seconds:.1} s ({:.1} \
         samples/s)\nfiles in {}: {}, {ACCOUNT}\n",
        sampling.sampler.name(),
        sampling.spacing.name(),
        *samples as f64 / seconds.max(1e-9),
        out.display(),
        account.files.join(", ")
    ))
}

//! Samples of one model: a way of sampling that fits it, made in batches that are the units of work.

use super::setup::{self, Completed, Setup};
use super::{Folder, Store, Unit, Watch, before_weights, interrupted, provenance};
use crate::device::{self, fetch};
use crate::error::{Error, Result};
use crate::model::{Derivatives, Model};
use crate::report::samples::ACCOUNT;
use crate::report::{Artifact, SCHEMA_VERSION, SampleFormat, SampleReport, SampleSet, Warning, json as text};
use crate::run::plan::describe as describe_model;
use crate::sampler::{self, Path, Sampling, spacing};
use lipscope_core::cli::args::{BatchSize, Clip, SampleArgs};
use lipscope_core::store::array_f32;
use serde_json::{Value, json};
use std::ops::Range;
use tch::Device;

/// The kind of the units: batches of samples.
const KIND: &str = "samples";

/// `--batch auto` of points, which take a network little memory.
const POINTS: u64 = 1024;

/// Samples to be made, resolved and checked, with their model.
pub struct Samples {
    model: Model,
    sampling: Sampling,
    plan: Value,
    count: u64,
    batch: u64,
    seed: u64,
    /// The classes of the data.
    labels: Option<Vec<i64>>,
    device: Device,
    format: SampleFormat,
    warnings: Vec<Warning>,
}

impl Samples {
    /// Resolves what was asked for.
    ///
    /// # Errors
    /// What [`Model::load`] refuses, and a budget of evaluations that sampler and schedule do not allow.
    pub fn new(args: &SampleArgs, setup: &Setup) -> Result<Self> {
        if args.samples == 0 {
            return Err(Error::argument("--samples", 0, "it is at least 1", "Give the number of samples to make."));
        }
        sampler::parse(&args.sampler)?;
        spacing::parse(&args.spacing)?;
        let arithmetic = setup.arithmetic(args.model.dtype)?;
        let labels: Vec<String> = args.label.iter().cloned().collect();
        before_weights::denoisers("sampling", &[&args.checkpoint], &args.model, &args.data)?;
        let opened = setup::open_all(&[&args.checkpoint], &labels, &args.data, &args.model, arithmetic)?;
        let share = [args.model.share.as_ref()];
        let completed = setup::complete(opened, &share, (&args.data, &args.model), arithmetic, Derivatives::default())?;
        let Completed { mut models, data, mut warnings } = completed;
        models.iter_mut().for_each(Model::follow_time);
        let Some(model) = models.pop() else {
            return Err(Error::mismatch("there is no model", "Name a checkpoint."));
        };
        warnings.extend(model.sampling_note());
        let (sampling, path) = sampling((&args.sampler, &args.spacing, args.nfe, args.clip), &model)?;
        let batch = batch(args.batch, model.response.sample_shape(), arithmetic.0);
        let plan = json!({
            "command": "sample",
            "models": [describe_model(&model)?],
            "sampling": describe(&sampling, &path),
            "samples": args.samples,
            "batch": batch,
            "seed": setup.seed,
        });
        Ok(Samples {
            model,
            sampling,
            plan,
            count: args.samples,
            batch,
            seed: setup.seed,
            labels: data.and_then(|data| data.source.labels().map(<[i64]>::to_vec)),
            device: arithmetic.0,
            format: args.format,
            warnings,
        })
    }

    /// Everything that the samples depend on.
    pub fn plan(&self) -> &Value {
        &self.plan
    }

    /// The model's name.
    pub fn label(&self) -> &str {
        &self.model.label
    }

    /// How they are made.
    pub fn sampling(&self) -> &Sampling {
        &self.sampling
    }

    /// The folder that was named, else the default one.
    pub fn folder(&self, named: Option<&std::path::Path>) -> Folder {
        Folder::new(named, || setup::default_folder("sample", std::iter::once(self.label())))
    }

    /// Makes the samples that the store does not hold yet; gives their account, and the files.
    ///
    /// # Errors
    /// [`Error::Interrupted`] where the watcher stopped it: finished batches are in the store then.
    pub fn run(&self, store: &mut Store, watch: &dyn Watch) -> Result<(SampleReport, Vec<Artifact>)> {
        let mut provenance = provenance(self.plan.clone(), device::name(self.device));
        let mut most = self.batch;
        let (set, wall_seconds) = self.draw(store, &mut most, watch)?;
        provenance.wall_seconds = wall_seconds;
        let mut artifacts = vec![set.file(self.format, &text(&self.plan)?)?];
        artifacts.extend(set.picture()?);
        let mut warnings = self.warnings.clone();
        warnings.extend((most < self.batch).then_some(Warning::SmallerBatch { batch: most }));
        let non_finite = set.non_finite();
        if non_finite > 0 {
            let model = self.model.label.clone();
            warnings.push(Warning::NonFiniteSamples { model, count: non_finite, of: self.count });
        }
        let moments = set.moments();
        let account = SampleReport {
            schema_version: SCHEMA_VERSION,
            command: "sample".into(),
            provenance,
            samples: self.count,
            nfe: Path::new(self.model.denoiser()?, &self.sampling)?.nfe() as u64,
            non_finite,
            mean: moments.map(|[mean, ..]| mean),
            std: moments.map(|[_, std, ..]| std),
            min: moments.map(|[_, _, min, _]| min),
            max: moments.map(|[.., max]| max),
            files: artifacts.iter().map(|artifact| artifact.file_name.clone()).collect(),
            warnings,
        };
        artifacts.push(Artifact::new(ACCOUNT, text(&account)?));
        Ok((account, artifacts))
    }

    /// The samples and the seconds they took; `most` are those per network call, of which memory may allow fewer.
    fn draw(&self, store: &mut Store, most: &mut u64, watch: &dyn Watch) -> Result<(SampleSet, f64)> {
        let calls = self.sampling.nfe as u64;
        watch.begin(self.count.div_ceil(self.batch) * calls, "network calls");
        let (mut values, mut wall_seconds) = (Vec::new(), 0.0);
        for first in (0..self.count).step_by(self.batch as usize) {
            let here = first..first.saturating_add(self.batch).min(self.count);
            let key = first.to_string();
            if let Some(stored) = store.get(KIND, &key) {
                values.extend(stored.array("x0")?.to_f32()?);
                wall_seconds += stored.said::<f64>("wall_seconds")?;
                (0..calls).for_each(|_| watch.skip(1));
                continue;
            }
            let began = std::time::Instant::now();
            let Some(drawn) = self.batch(here, most, watch)? else {
                store.keep()?;
                return Err(interrupted(Some(store)));
            };
            let spent = began.elapsed().as_secs_f64();
            let unit = Unit::new(KIND, key, json!({ "wall_seconds": spent }));
            store.add(unit.with("x0", array_f32(&[drawn.len()], &drawn)?));
            if store.is_due() {
                store.keep()?;
            }
            values.extend(drawn);
            wall_seconds += spent;
        }
        watch.end();
        Ok((SampleSet { values, shape: self.model.response.sample_shape().to_vec() }, wall_seconds))
    }

    fn batch(&self, samples: Range<u64>, most: &mut u64, watch: &dyn Watch) -> Result<Option<Vec<f32>>> {
        let mut progress = || {
            watch.advance();
            watch.goes_on()
        };
        let which = sampler::Which { seed: self.seed, samples, labels: self.labels.as_deref() };
        let mut values = Vec::new();
        let mut take = |piece| {
            values.extend(fetch(&piece)?);
            Ok(())
        };
        let denoiser = self.model.denoiser()?;
        let complete = sampler::draw_in_pieces(denoiser, &self.sampling, &which, most, &mut progress, &mut take)?;
        Ok(complete.then_some(values))
    }
}

/// `--batch`, for samples without tangents.
pub fn batch(asked: BatchSize, shape: &[i64], device: Device) -> u64 {
    match asked {
        BatchSize::Auto if shape.len() == 1 => POINTS,
        asked => setup::batch(asked, shape, device),
    }
}

/// `--sampler`, `--spacing`, `--nfe` and `--clip` as they are typed, completed by the model; an impossible budget is refused.
pub fn sampling((sampler, spacing, nfe, clip): (&str, &str, usize, Clip), model: &Model) -> Result<(Sampling, Path)> {
    let sampler = sampler::parse(sampler)?;
    let clip = sampler::clip(clip, model.clip, &*sampler);
    let sampling = Sampling { sampler, spacing: spacing::parse(spacing)?, nfe, clip };
    let path = Path::new(model.denoiser()?, &sampling)?;
    Ok((sampling, path))
}

/// A sampling in a plan.
pub fn describe(sampling: &Sampling, path: &Path) -> Value {
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

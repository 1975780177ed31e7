//! What samples are measured by: features, the metrics built for the data, and how far the data is from itself.

use super::subjects::Subjects;
use super::wanted::Wanted;
use crate::clean_data::{CleanData, Whole};
use crate::data::{ByteSize, Indexed};
use crate::device::upload;
use crate::draws::CleanSamples;
use crate::error::{Doing, Error, Result};
use crate::quality::features::{Cache, Extractor, Identity, TorchScriptFeatures, read_statistics};
use crate::quality::{Member, Metric, Moments, Reference, Setting};
use crate::random::{Purpose, stream};
use lipscope_core::cli::args::EvaluateArgs;
use rand::seq::SliceRandom;
use rayon::prelude::*;
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;
use tch::{Device, Kind, Tensor};

/// Draws of a density that stand for it where samples are compared with samples.
const DRAWS: u64 = 10_000;

/// The streams of those draws, and of those that stand for generated samples.
const REFERENCE_STREAM: f64 = 0.0;
const FLOOR_STREAM: f64 = 1.0;

/// Fewer samples than this are not divided to compare the data with itself.
const LEAST_TO_DIVIDE: i64 = 32;

/// The metrics, ready to be applied.
pub(super) struct Yardstick {
    /// What turns samples into features.
    pub extractor: Box<dyn Extractor>,
    /// What was left out, and why.
    pub notes: Vec<String>,
    metrics: Vec<(&'static Member, Box<dyn Metric>)>,
    floor: Option<Floor>,
    samples: u64,
    shape: Vec<i64>,
    seed: u64,
    description: Value,
}

/// What stands for generated samples where the data is compared with itself.
enum Floor {
    /// Part of the data, against the rest.
    Parts(Tensor),
    /// Fresh draws, against the density.
    Draws(Arc<dyn CleanSamples>),
}

impl Floor {
    /// What is not like the models' own rows.
    fn note(&self, samples: u64) -> Option<String> {
        let Floor::Parts(features) = self else { return None };
        let half = features.size()[0] as u64 / 2;
        (half < samples).then(|| {
            format!(
                "the data is compared with itself by halves of {half} samples, and models by {samples}: its row is not the \
                 best value to be had but above it. Use --samples {half}, or more data, for that."
            )
        })
    }
}

impl Yardstick {
    /// Builds every metric that was asked for.
    pub fn new(args: &EvaluateArgs, wanted: &Wanted, subjects: &Subjects, device: Device, seed: u64) -> Result<Self> {
        let shape = subjects.shape.clone();
        let extractor: Box<dyn Extractor> = match args.features.as_str() {
            "identity" => Box::new(Identity),
            path => Box::new(TorchScriptFeatures::load(Path::new(path), &shape, wanted.preprocessing, device)?),
        };
        let cache = if args.no_cache { None } else { Cache::find() };
        let source = Source { extractor: &*extractor, cache, shape: &shape, samples: wanted.samples, seed };
        let (reference, floor, description) = match (&args.reference, &subjects.data) {
            (Some(path), _) => source.statistics(path)?,
            (None, Some(data)) => source.data(data)?,
            (None, None) => {
                let problem = "there is nothing to compare the samples with";
                return Err(Error::mismatch(problem, "Give the data with --data, or statistics with --reference."));
            }
        };
        let setting = Setting { seed, samples: wanted.samples };
        let (mut metrics, mut notes) = (Vec::new(), Vec::new());
        for member in &wanted.metrics {
            match (member.build)(&reference, &setting) {
                Ok(metric) => metrics.push((*member, metric)),
                Err(error) if wanted.all_metrics => {
                    notes.push(format!("{} is left out: {}.", member.name, error.problem()));
                }
                Err(error) => return Err(error),
            }
        }
        let samples = wanted.samples;
        notes.extend(floor.as_ref().and_then(|floor| floor.note(samples)));
        Ok(Yardstick { extractor, notes, metrics, floor, samples, shape, seed, description })
    }

    /// Names of the metrics.
    pub fn names(&self) -> Vec<&'static str> {
        self.metrics.iter().map(|(member, _)| member.name).collect()
    }

    /// What the samples are compared with, for the plan.
    pub fn describe(&self) -> Value {
        json!({ "features": self.extractor.describe(), "data": self.description })
    }

    /// Whether the data can be compared with itself.
    pub fn has_floor(&self) -> bool {
        self.floor.is_some()
    }

    /// Every metric of generated features [M, d].
    pub fn measure(&self, features: &Tensor) -> Result<Vec<f64>> {
        self.metrics.iter().map(|(_, metric)| metric.measure(features)).collect()
    }

    /// Every metric of the data against itself, and how many samples stood for generated ones.
    pub fn floor(&self, repetition: u64) -> Result<(u64, Vec<f64>)> {
        match &self.floor {
            None => Ok((0, Vec::new())),
            Some(Floor::Draws(source)) => {
                let seed = self.seed + repetition;
                let drawn = draws(&**source, self.samples, &self.shape, (seed, FLOOR_STREAM))?;
                Ok((self.samples, self.measure(&self.extractor.extract(&drawn)?)?))
            }
            Some(Floor::Parts(features)) => {
                let (part, rest) = divide(features, self.samples, self.seed + repetition)?;
                let setting = Setting { seed: self.seed, samples: part.size()[0] as u64 };
                let reference = Reference { features: Some(rest), ..Reference::default() };
                let one = |(member, _): &(&'static Member, _)| (member.build)(&reference, &setting)?.measure(&part);
                Ok((part.size()[0] as u64, self.metrics.iter().map(one).collect::<Result<_>>()?))
            }
        }
    }
}

/// How references are made.
struct Source<'a> {
    extractor: &'a dyn Extractor,
    cache: Option<Cache>,
    shape: &'a [i64],
    samples: u64,
    seed: u64,
}

type Made = (Reference, Option<Floor>, Value);

impl Source<'_> {
    fn statistics(&self, path: &Path) -> Result<Made> {
        let moments = read_statistics(path)?;
        let example = Tensor::f_zeros(full(1, self.shape), (Kind::Float, Device::Cpu)).doing("making an example")?;
        let (given, here) = (moments.mean.size()[0], self.extractor.extract(&example)?.size()[1]);
        if given != here {
            let problem = format!("the statistics are of {given} features, and {} has {here}", self.extractor.name());
            return Err(Error::file(path, problem, "Give the features that they were made with by --features."));
        }
        let description =
            json!({ "statistics": path.display().to_string(), "sha256": crate::checkpoint::sha256(path)? });
        Ok((Reference { moments: Some(moments), ..Reference::default() }, None, description))
    }

    fn data(&self, data: &CleanData) -> Result<Made> {
        match &data.whole {
            Whole::Rows(rows) => {
                let flat = rows.as_standard_layout();
                let shape = full(rows.nrows() as i64, self.shape);
                let samples = upload(flat.as_slice().unwrap_or_default(), &shape, Device::Cpu, Kind::Float)?;
                let features = self.features(&samples, &data.description)?;
                let floor = (shape[0] >= LEAST_TO_DIVIDE).then(|| Floor::Parts(features.shallow_clone()));
                let description = json!({ "samples": shape[0], "floor": "two parts of the data" });
                Ok((Reference { features: Some(features), ..Reference::default() }, floor, description))
            }
            Whole::Indexed(rows) => {
                let features = self.features_on_disk(rows, &data.description)?;
                let floor = (rows.len() as i64 >= LEAST_TO_DIVIDE).then(|| Floor::Parts(features.shallow_clone()));
                let description = json!({ "samples": rows.len(), "floor": "two parts of the data" });
                Ok((Reference { features: Some(features), ..Reference::default() }, floor, description))
            }
            Whole::Density(density) => {
                let count = self.samples.max(DRAWS);
                let drawn = draws(&*data.source, count, self.shape, (self.seed, REFERENCE_STREAM))?;
                let own = !self.extractor.is_costly();
                let reference = Reference {
                    features: Some(self.features(&drawn, &json!([data.description, count, self.seed]))?),
                    moments: if own { Moments::of_mixture(density).ok() } else { None },
                    density: own.then(|| (**density).clone()),
                };
                let floor = Some(Floor::Draws(Arc::clone(&data.source)));
                let exact = reference.moments.is_some();
                let description =
                    json!({ "draws": count, "exact_moments": exact, "floor": "fresh draws of the density" });
                Ok((reference, floor, description))
            }
        }
    }

    /// Features of data that does not fit into memory: only they are held.
    fn features_on_disk(&self, rows: &Indexed, identity: &Value) -> Result<Tensor> {
        if !self.extractor.is_costly() {
            let problem = format!(
                "samples are compared as they are with all {} of the data, which take {} in memory",
                rows.len(),
                ByteSize(rows.bytes())
            );
            let next =
                "Compare with fewer by --data-limit, allow more by --data-memory, or give a network by --features.";
            return Err(Error::mismatch(problem, next));
        }
        let extract = || {
            let mut parts = Vec::new();
            rows.pass(&mut |numbers| {
                let count = (numbers.len() / rows.width().max(1)) as i64;
                let samples = upload(numbers, &full(count, self.shape), Device::Cpu, Kind::Float)?;
                parts.push(self.extractor.extract(&samples)?);
                Ok(())
            })?;
            Tensor::f_cat(&parts, 0).doing("gathering features")
        };
        match &self.cache {
            None => extract(),
            Some(cache) => cache.get(&json!([identity, self.extractor.describe(), self.shape]), extract),
        }
    }

    /// Features of the data, from the cache where they are there.
    fn features(&self, samples: &Tensor, identity: &Value) -> Result<Tensor> {
        let extract = || self.extractor.extract(samples);
        match self.cache.as_ref().filter(|_| self.extractor.is_costly()) {
            None => extract(),
            Some(cache) => cache.get(&json!([identity, self.extractor.describe(), self.shape]), extract),
        }
    }
}

/// Samples of a density, [count, …], with a stream each.
fn draws(source: &dyn CleanSamples, count: u64, shape: &[i64], (seed, name): (u64, f64)) -> Result<Tensor> {
    let width = shape.iter().product::<i64>().max(1) as usize;
    let mut values = vec![0.0f32; count as usize * width];
    values.par_chunks_mut(width).enumerate().try_for_each(|(i, sample)| {
        source.draw(&mut stream(seed, Purpose::Split, name, i as u64), sample).map(|_| ())
    })?;
    upload(&values, &full(count as i64, shape), Device::Cpu, Kind::Float)
}

/// `samples` of the features, or half of them where there are no more, and the rest.
fn divide(features: &Tensor, samples: u64, seed: u64) -> Result<(Tensor, Tensor)> {
    let count = features.size()[0];
    let mut order: Vec<i64> = (0..count).collect();
    order.shuffle(&mut stream(seed, Purpose::Split, 0.0, 0));
    let (part, rest) = order.split_at((samples as usize).min(count as usize / 2));
    let pick = |rows: &[i64]| Tensor::f_from_slice(rows).and_then(|rows| features.f_index_select(0, &rows));
    Ok((pick(part).doing("dividing the data")?, pick(rest).doing("dividing the data")?))
}

fn full(count: i64, shape: &[i64]) -> Vec<i64> {
    std::iter::once(count).chain(shape.iter().copied()).collect()
}

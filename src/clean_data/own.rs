//! The clean samples of a run: those that are given, or else those that the first model makes of itself.

use super::Rows;
use crate::device::fetch;
use crate::draws::{CleanSamples, Draws};
use crate::error::{Error, Result};
use crate::model::Model;
use crate::run::{Store, Unit, Watch};
use crate::sampler::{self, Sampling};
use lipscope_core::store::array_f32;
use ndarray::Array2;
use serde_json::{Value, json};
use std::sync::Arc;

/// Samples that a checkpoint makes of itself where no data is given, and network evaluations for each.
const MODEL_SAMPLES: u64 = 64;
const MODEL_NFE: usize = 50;

/// The kind of the unit that keeps the samples of a model.
const KIND: &str = "model samples";

/// The draws of all models; where there is no source the first of them makes samples now. `None` if interrupted.
pub fn draws(
    models: &[Model],
    source: Option<&Arc<dyn CleanSamples>>,
    (batch, seed): (u64, u64),
    store: Option<&mut Store>,
    watch: &dyn Watch,
) -> Result<Option<Draws>> {
    let Some(model) = models.first() else { return Ok(None) };
    let sample_shape = model.response.sample_shape().to_vec();
    let source = match source {
        Some(source) => Some(Arc::clone(source)),
        None => stored_or_own(model, (batch, seed), store, watch)?.map(|rows| Arc::new(rows) as Arc<dyn CleanSamples>),
    };
    Ok(source.map(|source| Draws::new(source, seed, sample_shape).under(model.response.process())))
}

/// The samples that an earlier run made, or those that are made now: made again elsewhere they would be equal to rounding
/// only.
fn stored_or_own(
    model: &Model,
    numbers: (u64, u64),
    store: Option<&mut Store>,
    watch: &dyn Watch,
) -> Result<Option<Rows>> {
    if let Some(stored) = store.as_ref().and_then(|store| store.get(KIND, "")) {
        return rows(stored.array("x0")?.to_f32()?.into_iter().collect()).map(Some);
    }
    if store.as_ref().is_some_and(|store| store.shard().is_some() || store.only_merges()) {
        return Err(Error::mismatch(
            "every shard would make samples of its own, which are equal to rounding only",
            "Give real samples with --data; or those of `lipscope sample`, as --data samples.npy.",
        ));
    }
    let Some(values) = own(model, numbers, watch)? else { return Ok(None) };
    if let Some(store) = store {
        store.add(Unit::new(KIND, "", json!({})).with("x0", array_f32(&[values.len()], &values)?));
        store.keep()?;
    }
    rows(values).map(Some)
}

/// What a report says about samples that the first model makes of itself.
pub fn model_samples(models: &[Model]) -> Value {
    json!({
        "source": "model",
        "description": "samples of the first model itself, deterministic DDIM",
        "of": models.first().map(|model| model.label.clone()),
        "samples": MODEL_SAMPLES,
        "nfe": MODEL_NFE,
        "clip": models.first().and_then(|model| model.clip),
    })
}

/// DDIM on a uniform grid; on one of every timestep where there are no more.
fn own_sampling(model: &Model) -> Result<Sampling> {
    let sampler = sampler::parse("ddim")?;
    let timesteps = sampler::first_timestep(model.denoiser()?, &*sampler) as usize + 1;
    let spacing = sampler::spacing::parse("uniform")?;
    Ok(Sampling { sampler, spacing, nfe: MODEL_NFE.min(timesteps), clip: model.clip })
}

fn own(model: &Model, (batch, seed): (u64, u64), watch: &dyn Watch) -> Result<Option<Vec<f32>>> {
    let batches = MODEL_SAMPLES.div_ceil(batch);
    let sampling = own_sampling(model)?;
    watch.note(&format!("no --data: {} makes {MODEL_SAMPLES} samples of its own", model.label));
    watch.begin(batches * sampling.nfe as u64, "sampling steps");
    let mut values = Vec::new();
    for first in (0..MODEL_SAMPLES).step_by(batch as usize) {
        let here = first..(first + batch).min(MODEL_SAMPLES);
        let which = sampler::Which { seed, samples: here, labels: None };
        let x0 = sampler::draw(model.denoiser()?, &sampling, which, &mut || {
            watch.advance();
            watch.goes_on()
        })?;
        let Some(x0) = x0 else { return Ok(None) };
        values.extend(fetch(&x0)?);
    }
    watch.end();
    if let Some(bad) = values.iter().find(|value| !value.is_finite()) {
        return Err(Error::mismatch(
            format!("the samples that {} makes of itself hold {bad}", model.label),
            "Give real samples with --data.",
        ));
    }
    Ok(Some(values))
}

fn rows(values: Vec<f32>) -> Result<Rows> {
    let width = values.len() / MODEL_SAMPLES as usize;
    let rows = Array2::from_shape_vec((MODEL_SAMPLES as usize, width), values);
    rows.map(|rows| Rows::new(Arc::new(rows), None))
        .map_err(|e| Error::mismatch(format!("samples do not stack ({e})"), "Report this."))
}

//! The clean samples of a run: those that are given, or else those that the first model makes of itself.

use super::data::Rows;
use super::model::Model;
use super::output;
use super::progress::Progress;
use super::sample::fetch;
use crate::draws::{CleanSamples, Draws};
use crate::error::{Error, Result};
use crate::sampler::{self, Sampling};
use ndarray::Array2;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// Samples that a checkpoint makes of itself where no data is given, and network evaluations for each.
const MODEL_SAMPLES: u64 = 64;
const MODEL_NFE: usize = 50;

/// The draws of all models; where there is no source the first of them makes samples now. `None` if interrupted.
pub(super) fn draws(
    models: &[Model],
    source: Option<&Arc<dyn CleanSamples>>,
    (batch, seed): (u64, u64),
    quiet: bool,
    stopped: &Arc<AtomicBool>,
) -> Result<Option<Draws>> {
    let Some(model) = models.first() else { return Ok(None) };
    let sample_shape = model.denoiser.sample_shape().to_vec();
    let source = match source {
        Some(source) => Some(Arc::clone(source)),
        None => own(model, (batch, seed), quiet, stopped)?.map(|rows| Arc::new(rows) as Arc<dyn CleanSamples>),
    };
    Ok(source.map(|source| Draws { source, seed, sample_shape }))
}

/// What a report says about samples that the first model makes of itself.
pub(super) fn model_samples(models: &[Model]) -> Value {
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
    let timesteps = sampler::first_timestep(&*model.denoiser, &*sampler) as usize + 1;
    let spacing = sampler::spacing::parse("uniform")?;
    Ok(Sampling { sampler, spacing, nfe: MODEL_NFE.min(timesteps), clip: model.clip })
}

fn own(model: &Model, (batch, seed): (u64, u64), quiet: bool, stopped: &Arc<AtomicBool>) -> Result<Option<Rows>> {
    let batches = MODEL_SAMPLES.div_ceil(batch);
    let sampling = own_sampling(model)?;
    if !quiet {
        output::note(&format!("no --data: {} makes {MODEL_SAMPLES} samples of its own", model.label));
    }
    let progress = Progress::new(batches * sampling.nfe as u64, "sampling steps", quiet, stopped);
    let mut values = Vec::new();
    for first in (0..MODEL_SAMPLES).step_by(batch as usize) {
        let here = first..(first + batch).min(MODEL_SAMPLES);
        let x0 = sampler::draw(&*model.denoiser, &sampling, seed, here, &mut || progress.advance())?;
        let Some(x0) = x0 else { return Ok(None) };
        values.extend(fetch(&x0)?);
    }
    if let Some(bad) = values.iter().find(|value| !value.is_finite()) {
        return Err(Error::mismatch(
            format!("the samples that {} makes of itself hold {bad}", model.label),
            "Give real samples with --data.",
        ));
    }
    let width = values.len() / MODEL_SAMPLES as usize;
    let rows = Array2::from_shape_vec((MODEL_SAMPLES as usize, width), values);
    rows.map(|rows| Some(Rows::new(Arc::new(rows))))
        .map_err(|e| Error::mismatch(format!("samples do not stack ({e})"), "Report this."))
}

//! The measuring loop: timesteps × samples × models × estimators, one number per sample.
//!
//! All models see the same (x₀, ε) pairs; under one schedule that is the same x_t. Nothing is read back from the device
//! before a round of samples is complete.

use crate::denoiser::Denoiser;
use crate::draws::Draws;
use crate::error::{Doing, Result};
use crate::estimator::Estimator;
use crate::time::Timestep;
use serde::{Deserialize, Serialize};
use std::ops::Range;
use std::time::{Duration, Instant};
use tch::{Device, Kind, Tensor};

/// How many samples a timestep gets.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SampleRule {
    /// So many.
    Fixed {
        /// Number of (x₀, ε) pairs.
        samples: u64,
    },
    /// As many as it takes until every model's standard error is below `target` times its mean.
    RelativeError {
        /// Wanted relative standard error.
        target: f64,
        /// Where to give up.
        most: u64,
    },
}

impl SampleRule {
    /// Sizes at which the rule looks at what it has: they do not depend on the batch size, so neither does the result.
    fn next_round(&self, done: u64) -> u64 {
        const STEP: u64 = 16;
        match *self {
            SampleRule::Fixed { samples } => samples,
            SampleRule::RelativeError { most, .. } => {
                let grown = (done + done / 4).div_ceil(STEP) * STEP;
                grown.max(done + STEP).min(most)
            }
        }
    }

    fn satisfied(&self, done: u64, norms: &[Vec<Vec<f64>>]) -> bool {
        match *self {
            SampleRule::Fixed { samples } => done >= samples,
            SampleRule::RelativeError { target, most } => {
                done >= most || norms.iter().flatten().all(|values| relative_error(values) <= target)
            }
        }
    }
}

/// Standard error over mean; 0 where all values are 0, infinite where nothing can be said.
fn relative_error(values: &[f64]) -> f64 {
    let statistics = crate::stats::statistics(values);
    match (statistics.mean, statistics.std_error) {
        (Some(_), Some(0.0)) => 0.0,
        (Some(mean), Some(error)) if mean > 0.0 => error / mean,
        _ => f64::INFINITY,
    }
}

/// What is measured.
pub struct Subject {
    /// The model.
    pub denoiser: Box<dyn Denoiser>,
    /// One curve each.
    pub estimators: Vec<Box<dyn Estimator>>,
}

/// What one timestep came to.
#[derive(Debug)]
pub struct AtTimestep {
    /// t in steps.
    pub t: Timestep,
    /// Norms by model, estimator and sample.
    pub norms: Vec<Vec<Vec<f64>>>,
    /// Samples that an iteration did not settle for, by model and estimator.
    pub unconverged: Vec<Vec<u64>>,
    /// Network evaluations by model.
    pub evaluations: Vec<u64>,
    /// Time by model, device work included.
    pub seconds: Vec<Duration>,
}

/// What the loop tells and asks while it runs.
pub trait Observer {
    /// A batch is done: `samples` of the timestep's current round of `round`. Returning `false` stops cleanly.
    fn batch(&mut self, t: Timestep, samples: u64, round: u64) -> bool;
}

/// The loop's settings.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// Samples per timestep.
    pub rule: SampleRule,
    /// Samples per network call.
    pub batch: u64,
}

/// Measures all subjects at one timestep; `None` if the observer stopped it.
pub fn at_timestep(
    subjects: &[Subject],
    draws: &Draws,
    settings: &Settings,
    t: Timestep,
    observer: &mut dyn Observer,
) -> Result<Option<AtTimestep>> {
    let _no_grad = tch::no_grad_guard();
    let mut point = AtTimestep {
        t,
        norms: subjects.iter().map(|subject| vec![Vec::new(); subject.estimators.len()]).collect(),
        unconverged: subjects.iter().map(|subject| vec![0; subject.estimators.len()]).collect(),
        evaluations: vec![0; subjects.len()],
        seconds: vec![Duration::ZERO; subjects.len()],
    };
    let mut done = 0;
    while done == 0 || !settings.rule.satisfied(done, &point.norms) {
        let until = settings.rule.next_round(done);
        if !round(subjects, draws, settings.batch, done..until, &mut point, observer)? {
            return Ok(None);
        }
        done = until;
    }
    Ok(Some(point))
}

/// Adds the samples of one round; `false` if the observer stopped it.
fn round(
    subjects: &[Subject],
    draws: &Draws,
    batch: u64,
    samples: Range<u64>,
    point: &mut AtTimestep,
    observer: &mut dyn Observer,
) -> Result<bool> {
    let t = point.t;
    let mut pending: Vec<Vec<Vec<Tensor>>> =
        subjects.iter().map(|subject| subject.estimators.iter().map(|_| Vec::new()).collect()).collect();
    for first in samples.clone().step_by(batch.max(1) as usize) {
        let here = first..(first + batch).min(samples.end);
        let mut shared: Option<(Device, Kind, crate::draws::Pairs)> = None;
        for (subject, (model, pending)) in subjects.iter().zip(pending.iter_mut().enumerate()) {
            let began = Instant::now();
            let (device, kind) = (subject.denoiser.device(), subject.denoiser.kind());
            let pairs = match shared.take() {
                Some((d, k, pairs)) if (d, k) == (device, kind) => pairs,
                _ => draws.pairs(t, here.clone(), device, kind)?,
            };
            let x_t = pairs.x_t(subject.denoiser.schedule(), t)?;
            for (i, (estimator, pending)) in subject.estimators.iter().zip(pending.iter_mut()).enumerate() {
                let norms = estimator.norms(&*subject.denoiser, &x_t, t)?;
                if let Some(unconverged) = norms.unconverged {
                    // Iterations have waited for the device already.
                    point.unconverged[model][i] += unconverged.sum(Kind::Int64).int64_value(&[]).max(0) as u64;
                }
                point.evaluations[model] += norms.evaluations * (here.end - here.start);
                pending.push(norms.values);
            }
            shared = Some((device, kind, pairs));
            point.seconds[model] += began.elapsed();
        }
        if !observer.batch(t, here.end, samples.end) {
            return Ok(false);
        }
    }
    for (model, (norms, pending)) in point.norms.iter_mut().zip(pending).enumerate() {
        let began = Instant::now();
        for (norms, pending) in norms.iter_mut().zip(pending) {
            norms.extend(read_back(&pending)?);
        }
        point.seconds[model] += began.elapsed();
    }
    Ok(true)
}

/// The one place where numbers leave the device.
fn read_back(batches: &[Tensor]) -> Result<Vec<f64>> {
    let doing = "reading norms";
    let all = Tensor::f_cat(batches, 0).and_then(|v| v.f_to_device(Device::Cpu)).doing(doing)?;
    let mut values = vec![0.0; all.numel()];
    all.f_copy_data(&mut values, all.numel()).doing(doing)?;
    Ok(values)
}

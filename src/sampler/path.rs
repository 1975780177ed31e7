//! The timesteps that a sampler visits.

use super::{Sampler, Sampling, Step};
use crate::denoiser::Denoiser;
use crate::error::{Error, Result};
use crate::time::Timestep;
use serde::Serialize;

/// Where the steps of a sampler lie, and what each of them costs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Path {
    /// Timesteps, descending; the sample is x̂₀ at the last.
    pub timesteps: Vec<Timestep>,
    /// Network evaluations of each step, one fewer than timesteps.
    pub evaluations: Vec<usize>,
}

impl Path {
    /// The path of a sampling.
    ///
    /// # Errors
    ///
    /// `nfe` is 0, or the spacing has not so many timesteps.
    pub fn new(denoiser: &dyn Denoiser, sampling: &Sampling) -> Result<Self> {
        let Sampling { sampler, spacing, nfe, .. } = sampling;
        let Some(budget) = nfe.checked_sub(1) else {
            return Err(Error::argument("--nfe", nfe, "it is a whole number above 0", "Such as --nfe 50."));
        };
        let evaluations = sampler.deal(budget);
        let first = first_timestep(denoiser, &**sampler);
        let shares = shares(&evaluations, spacing.per_evaluation());
        let timesteps = spacing.timesteps(denoiser.schedule(), (first, 0.0), &shares)?;
        Ok(Path { timesteps, evaluations })
    }

    /// The steps, from noise to t = 0.
    pub fn steps(&self) -> impl Iterator<Item = Step> + '_ {
        let pairs = self.timesteps.windows(2).zip(&self.evaluations);
        pairs.map(|(pair, &evaluations)| Step { t_cur: pair[0], t_next: pair[1], evaluations })
    }

    /// Where x̂₀ is taken.
    pub fn last(&self) -> Timestep {
        self.timesteps.last().copied().unwrap_or(0.0)
    }

    /// Network evaluations per sample, the last one included.
    pub fn nfe(&self) -> usize {
        self.evaluations.iter().sum::<usize>() + 1
    }
}

/// Where sampling starts: T−1, or the last timestep with a signal where α_{T−1} = 0 and the network or the sampler
/// cannot do without.
pub fn first_timestep(denoiser: &dyn Denoiser, sampler: &dyn Sampler) -> Timestep {
    let schedule = denoiser.schedule();
    let last = (schedule.timesteps() - 1) as Timestep;
    let without_signal = denoiser.predicts_without_signal() && sampler.starts_without_signal();
    if schedule.alpha(last) > 0.0 || without_signal { last } else { last - 1.0 }
}

/// How far along the path each timestep lies: 0 at the noise, 1 at t = 0; evenly per evaluation or per step.
fn shares(evaluations: &[usize], per_evaluation: bool) -> Vec<f64> {
    let weight = |&evaluations: &usize| if per_evaluation { evaluations as f64 } else { 1.0 };
    let total: f64 = evaluations.iter().map(weight).sum();
    let mut sum = 0.0;
    let ends = evaluations.iter().map(|evaluations| {
        sum += weight(evaluations);
        sum / total
    });
    std::iter::once(0.0).chain(ends).collect()
}

//! Samplers: from noise to samples by a chosen number of network evaluations (NFE).
//!
//! A sampler takes steps from one timestep of a [`Path`] to the next, down to t = 0, the last one that networks are trained
//! on; one more evaluation there gives x̂₀, which is the sample. All samplers end like that: σ = 0 has no log-SNR and no
//! score, and the first-order step from t = 0 to the clean sample is x̂₀ itself. The budget is kept exactly: of `nfe`
//! evaluations the last is that one, and the others are dealt out by [`Sampler::deal`].
//!
//! Samplers see a [`Denoiser`] only, and so work with every prediction type, timestep map and schedule. They ask it at
//! real timesteps where they must: the inner points of DPM-Solver lie between whole ones.
//!
//! A new sampler is one file with a [`Member`] and one line in [`MEMBERS`].

mod batch;
mod ddim;
mod ddpm;
mod dpm_solver;
mod dpm_solver_pp;
mod heun;
mod log_snr;
mod parameters;
mod path;
pub mod spacing;
#[cfg(test)]
mod tests;

pub use batch::{Batch, Predicted};
pub use parameters::{Parameters, clip, parse};
pub use path::{Path, first_timestep};
pub use spacing::Spacing;

use crate::denoiser::Denoiser;
use crate::error::Result;
use crate::time::Timestep;
use std::ops::Range;
use tch::Tensor;

/// One way of going from a timestep to a less noisy one.
pub trait Sampler: std::fmt::Debug + Send + Sync {
    /// As it is typed, with its parameters where they are not the defaults.
    fn name(&self) -> String;

    /// p, where the error of a deterministic sampler falls as the p-th power of the step; `None` for a stochastic one.
    fn order(&self) -> Option<u32>;

    /// Evaluations of each step, in their order, that add up to `budget`.
    fn deal(&self, budget: usize) -> Vec<usize> {
        vec![1; budget]
    }

    /// Whether it can start at a timestep where α = 0: there ln(α/σ) is −∞.
    fn starts_without_signal(&self) -> bool {
        true
    }

    /// Whether x̂₀ is clamped to the range of the data where nobody says otherwise.
    fn clips_by_default(&self) -> bool {
        true
    }

    /// x at `step.t_next` from x at `step.t_cur`, [B, …], with `step.evaluations` calls of [`Batch::predict`].
    fn step(&self, batch: &mut Batch, x: &Tensor, step: &Step) -> Result<Tensor>;
}

/// One step of a path.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Step {
    /// Where x is.
    pub t_cur: Timestep,
    /// Where it goes; below `t_cur`.
    pub t_next: Timestep,
    /// Network evaluations that it may take.
    pub evaluations: usize,
}

/// How samples are made.
#[derive(Debug)]
pub struct Sampling {
    /// The solver.
    pub sampler: Box<dyn Sampler>,
    /// Where its steps lie.
    pub spacing: Box<dyn Spacing>,
    /// Network evaluations per sample, at least 1.
    pub nfe: usize,
    /// x̂₀ is clamped to ± this.
    pub clip: Option<f64>,
}

/// One sampler of the family: its name, what it takes, and how it is built.
pub struct Member {
    /// Name as it is typed.
    pub name: &'static str,
    /// Parameters with their defaults.
    pub parameters: &'static [(&'static str, &'static str)],
    /// One line with its source.
    pub about: &'static str,
    /// Builds it from checked parameters.
    pub build: fn(&Parameters) -> Result<Box<dyn Sampler>>,
}

/// The family.
pub const MEMBERS: &[Member] = &[
    ddpm::MEMBER,
    ddim::MEMBER,
    dpm_solver::FIRST,
    dpm_solver::SECOND,
    dpm_solver::THIRD,
    dpm_solver_pp::MEMBER,
    heun::MEMBER,
];

/// Which samples are made.
#[derive(Debug, Clone)]
pub struct Which<'a> {
    /// Seed of their random streams.
    pub seed: u64,
    /// Their numbers.
    pub samples: Range<u64>,
    /// The classes of the data, from which models that are asked for them are given one for each sample.
    pub labels: Option<&'a [i64]>,
}

/// Some samples of a stream, [B, …] in float32, or float64 where the denoiser has it. They depend neither on the other rows
/// of the batch nor on how many there are. `progress` is called after every network evaluation; `false` from it stops
/// with `None`.
///
/// # Errors
///
/// The spacing has not enough timesteps for the budget, the clip is not above 0, or the network refuses.
pub fn draw(
    denoiser: &dyn Denoiser,
    sampling: &Sampling,
    which: Which,
    progress: &mut dyn FnMut() -> bool,
) -> Result<Option<Tensor>> {
    let _no_grad = tch::no_grad_guard();
    let path = Path::new(denoiser, sampling)?;
    let mut batch = Batch::new(denoiser, sampling.clip, which, progress)?;
    let mut x = batch.start(path.timesteps.first().copied().unwrap_or(0.0))?;
    for step in path.steps() {
        x = sampling.sampler.step(&mut batch, &x, &step)?;
        if batch.stopped() {
            return Ok(None);
        }
    }
    let x0 = batch.predict(&x, path.last())?.x0;
    Ok((!batch.stopped()).then_some(x0))
}

/// The same in pieces of at most `most` samples, each handed to `take`; `false` where `progress` stopped it. Where the device's
/// memory runs out, the piece is made again in halves and `most` is lowered to their size: the samples stay the same.
///
/// # Errors
///
/// The same, those of `take`, and memory that does not suffice for one sample.
pub fn draw_in_pieces(
    denoiser: &dyn Denoiser,
    sampling: &Sampling,
    which: &Which,
    most: &mut u64,
    progress: &mut dyn FnMut() -> bool,
    take: &mut dyn FnMut(Tensor) -> Result<()>,
) -> Result<bool> {
    let Range { start, end } = which.samples;
    let mut first = start;
    while first < end {
        let until = end.min(first + (*most).max(1));
        let piece = Which { seed: which.seed, samples: first..until, labels: which.labels };
        match draw(denoiser, sampling, piece, progress) {
            Ok(Some(samples)) => take(samples)?,
            Ok(None) => return Ok(false),
            Err(error) if error.is_out_of_memory() && until - first > 1 => {
                *most = (until - first) / 2;
                continue;
            }
            Err(error) => return Err(error),
        }
        first = until;
    }
    Ok(true)
}

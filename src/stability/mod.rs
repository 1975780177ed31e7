//! The perturbation test: how much the predicted clean sample x̂₀ changes when x_t, or t, is perturbed.
//!
//! ```text
//! in x   ‖x̂₀(x_t + δ, t) − x̂₀(x_t, t)‖    δ = s z, z standard normal: s is its standard deviation per element
//! in t   ‖x̂₀(x_t, t + h) − x̂₀(x_t, t)‖    the network is asked about t + h, while α and σ stay those of x_t
//! ```
//!
//! In t only the network's condition moves, to f(t + h): for ε-prediction Δx̂₀ = −(σ_t/α_t) Δε, and nothing changes where
//! f(t + h) = f(t). Divided by ‖δ‖, or by h, a change is an amplification, which compares sizes.
//!
//! All models see the same x₀, ε and z; z does not depend on the size either.

mod study;
mod summary;
#[cfg(test)]
mod tests;

pub use study::Study;
pub use summary::{Entry, tidy};

use crate::denoiser::Denoiser;
use crate::device::upload;
use crate::draws::{Draw, Draws};
use crate::error::{Doing, Result};
use crate::estimator::{Norm, row_norms};
use crate::random::{Purpose, fill_normal, stream};
use crate::state::State;
use crate::time::Timestep;
use rayon::prelude::*;
use tch::{Device, Kind, Tensor};

/// What is perturbed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Perturbed {
    /// The state x_t.
    X,
    /// The timestep that the network is asked about.
    T,
}

impl Perturbed {
    /// `x` or `t`.
    pub fn name(self) -> &'static str {
        match self {
            Perturbed::X => "x",
            Perturbed::T => "t",
        }
    }
}

/// What is measured.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Timesteps t.
    pub timesteps: Vec<Timestep>,
    /// Sizes s of δ.
    pub sizes: Vec<f64>,
    /// Distances h in steps.
    pub time_steps: Vec<f64>,
    /// Samples per timestep.
    pub samples: u64,
    /// Samples per network call at most.
    pub batch: u64,
    /// Norm of changes and of δ.
    pub norm: Norm,
}

/// One perturbation of all models at one timestep.
#[derive(Debug, Clone, PartialEq)]
pub struct Changes {
    /// What was perturbed.
    pub perturbed: Perturbed,
    /// t.
    pub timestep: Timestep,
    /// s or h.
    pub size: f64,
    /// Norms of the change of x̂₀, by model and sample.
    pub changes: Vec<Vec<f64>>,
    /// The same over ‖δ‖ or h.
    pub amplifications: Vec<Vec<f64>>,
}

/// Measures all timesteps and hands those that are finished to `finished`. `goes_on` is asked before every batch; `false`
/// from it stops cleanly. Says whether all were measured, and the largest batch that memory held.
///
/// # Errors
///
/// A network refuses, or memory does not suffice for one sample.
pub fn measure(
    denoisers: &[&dyn Denoiser],
    draws: &Draws,
    settings: &Settings,
    goes_on: &dyn Fn() -> bool,
    finished: &mut dyn FnMut(Vec<Changes>) -> Result<()>,
) -> Result<(bool, u64)> {
    let _no_grad = tch::no_grad_guard();
    let mut most = settings.batch.max(1);
    for &t in &settings.timesteps {
        let mut all = empty(t, denoisers.len(), settings);
        let mut done = 0;
        while done < settings.samples {
            if !goes_on() {
                return Ok((false, most));
            }
            let until = settings.samples.min(done + most);
            match batch(denoisers, draws, settings, t, done..until) {
                Ok(numbers) => {
                    add(&mut all, &numbers);
                    done = until;
                }
                Err(error) if error.is_out_of_memory() && until - done > 1 => most = (until - done) / 2,
                Err(error) => return Err(error),
            }
        }
        finished(all)?;
    }
    Ok((true, most))
}

fn empty(t: Timestep, models: usize, settings: &Settings) -> Vec<Changes> {
    let of = |perturbed: Perturbed, sizes: &[f64]| -> Vec<Changes> {
        let changes = |&size: &f64| Changes {
            perturbed,
            timestep: t,
            size,
            changes: vec![Vec::new(); models],
            amplifications: vec![Vec::new(); models],
        };
        sizes.iter().map(changes).collect()
    };
    [of(Perturbed::X, &settings.sizes), of(Perturbed::T, &settings.time_steps)].concat()
}

/// By model and perturbation: norms of the change, and of the perturbation.
type Numbers = Vec<Vec<(Vec<f64>, Vec<f64>)>>;

fn add(all: &mut [Changes], numbers: &Numbers) {
    for (m, of_model) in numbers.iter().enumerate() {
        for (changes, (norms, sizes)) in all.iter_mut().zip(of_model) {
            changes.changes[m].extend(norms);
            changes.amplifications[m].extend(norms.iter().zip(sizes).map(|(norm, size)| norm / size));
        }
    }
}

/// Some samples of one timestep.
fn batch(
    denoisers: &[&dyn Denoiser],
    draws: &Draws,
    settings: &Settings,
    t: Timestep,
    samples: std::ops::Range<u64>,
) -> Result<Numbers> {
    let wanted: Vec<Draw> = samples.map(|sample| Draw { t, sample }).collect();
    let rows = draws.rows(&wanted)?;
    let directions = directions(draws, &wanted);
    let times = vec![t; wanted.len()];
    let of_model = |denoiser: &&dyn Denoiser| {
        let (device, kind) = (denoiser.device(), denoiser.kind());
        let state = draws.state(&rows, *denoiser, &times)?;
        let z = upload(&directions, &state.x.size(), device, kind)?;
        let reference = denoiser.x0(&state, &times)?;
        let in_x = settings.sizes.iter().map(|&size| in_x(*denoiser, (&state, &z, size), &times));
        let in_t = settings.time_steps.iter().map(|&h| in_t(*denoiser, &state, (&times, h)));
        // Norms of all changes, and ‖z‖ as the last: one row each, read once.
        let mut all = Vec::with_capacity(settings.sizes.len() + settings.time_steps.len() + 1);
        for moved in in_x.chain(in_t) {
            let change = match moved? {
                Some(moved) => moved.f_sub(&reference).doing("perturbing")?,
                None => reference.f_zeros_like().doing("perturbing")?,
            };
            all.push(row_norms(settings.norm, &change)?);
        }
        all.push(row_norms(settings.norm, &z)?);
        let mut numbers = read(&all)?;
        let z = numbers.pop().unwrap_or_default();
        let of_x = settings.sizes.iter().map(|size| z.iter().map(|z| size * z).collect::<Vec<f64>>());
        let of_t = settings.time_steps.iter().map(|h| vec![*h; wanted.len()]);
        Ok(numbers.into_iter().zip(of_x.chain(of_t)).collect())
    };
    denoisers.iter().map(of_model).collect()
}

/// z of every sample, one row each.
fn directions(draws: &Draws, wanted: &[Draw]) -> Vec<f32> {
    let width = draws.width();
    let mut directions = vec![0.0f32; wanted.len() * width];
    directions.par_chunks_mut(width).zip(wanted).for_each(|(row, draw)| {
        fill_normal(&mut stream(draws.seed, Purpose::Perturbation, draw.t, draw.sample), row);
    });
    directions
}

/// x̂₀ at x + size·z.
fn in_x(denoiser: &dyn Denoiser, (state, z, size): (&State, &Tensor, f64), t: &[Timestep]) -> Result<Option<Tensor>> {
    let moved = z.f_mul_scalar(size).and_then(|delta| state.x.f_add(&delta)).doing("perturbing x")?;
    denoiser.x0(&state.with_x(moved), t).map(Some)
}

/// x̂₀ where the network is asked about t + h; `None` where that is the same question.
fn in_t(denoiser: &dyn Denoiser, state: &State, (t, h): (&[Timestep], f64)) -> Result<Option<Tensor>> {
    let map = denoiser.timestep_map();
    if t.iter().all(|&t| map.condition(t) == map.condition(t + h)) {
        return Ok(None);
    }
    let asked: Vec<Timestep> = t.iter().map(|t| t + h).collect();
    denoiser.x0_asked(state, t, &asked).map(Some)
}

/// Vectors of one length, on the host.
fn read(vectors: &[Tensor]) -> Result<Vec<Vec<f64>>> {
    let doing = "reading norms";
    let stacked = Tensor::f_stack(vectors, 0).and_then(|v| v.f_to_kind(Kind::Double)?.f_to_device(Device::Cpu));
    let stacked = stacked.and_then(|v| v.f_contiguous()).doing(doing)?;
    let mut numbers = vec![0.0; stacked.numel()];
    stacked.f_copy_data(&mut numbers, stacked.numel()).doing(doing)?;
    let length = (numbers.len() / vectors.len().max(1)).max(1);
    Ok(numbers.chunks(length).map(<[f64]>::to_vec).collect())
}

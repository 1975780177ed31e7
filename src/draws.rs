//! The (x₀, ε) pairs that expectations are taken over: one random stream per timestep and sample.

use crate::control_variates::{Covariates, covariates};
use crate::device::upload;
use crate::error::Result;
use crate::process::{ForwardProcess, Jump};
use crate::random::{Purpose, fill_normal, fill_uniform, stream};
use crate::response::Response;
use crate::state::{Columns, Latents, State};
use crate::time::Timestep;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use std::sync::Arc;
use tch::{Device, Kind, Tensor};

/// A source of clean samples x₀, one random stream each.
pub trait CleanSamples: Send + Sync {
    /// Draws one x₀ into `out`, flattened; says which row of the data it is, where it is one.
    ///
    /// # Errors
    /// It lies on disk and cannot be read.
    fn draw(&self, rng: &mut ChaCha8Rng, out: &mut [f32]) -> Result<Option<usize>>;

    /// The class of every row, where the data has classes.
    fn labels(&self) -> Option<&[i64]> {
        None
    }

    /// How many rows there are, where they are rows.
    fn count(&self) -> Option<usize> {
        None
    }

    /// Expectations of the mean and of the mean square over the elements of x₀, where they are known exactly.
    fn moments(&self) -> Option<[f64; 2]> {
        None
    }
}

/// Where pairs come from.
#[derive(Clone)]
pub struct Draws {
    /// The clean samples.
    pub source: Arc<dyn CleanSamples>,
    /// Seed of all streams.
    pub seed: u64,
    /// Shape of one sample.
    pub sample_shape: Vec<i64>,
    /// Noises that each clean sample gets: samples 0 … M − 1 have the first x₀, the next M the second.
    pub noises: u64,
    /// Shape of one sample's noise: that of a state, which is a sample's unless there are auxiliary variables.
    pub noise_shape: Vec<i64>,
    /// What it is.
    pub noise: Noise,
}

/// The law of a pair's noise, whose streams are the same.
#[derive(Debug, Clone, Default)]
pub enum Noise {
    /// N(0, 1).
    #[default]
    Normal,
    /// Uniform numbers of [0, 1), that this process jumps by.
    Uniform(Arc<Jump>),
}

/// Which pair: sample number `sample` of timestep `t`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Draw {
    /// t in steps.
    pub t: Timestep,
    /// Its number among the samples of this timestep.
    pub sample: u64,
}

/// A batch of pairs on the host, one row each of as many numbers as a sample and a state have.
pub struct Rows {
    /// Clean samples.
    pub x0: Vec<f32>,
    /// Noise.
    pub noise: Vec<f32>,
    /// The covariates of every row.
    pub covariates: Vec<Covariates>,
    /// What else was drawn.
    pub columns: Columns,
}

/// A batch of pairs, [B, …] each, on the device and in the dtype asked for.
pub struct Pairs {
    /// Clean samples.
    pub x0: Tensor,
    /// Noise.
    pub noise: Tensor,
}

impl Draws {
    /// One standard normal noise for each clean sample, of its shape.
    pub fn new(source: Arc<dyn CleanSamples>, seed: u64, sample_shape: Vec<i64>) -> Self {
        Draws { source, seed, noise_shape: sample_shape.clone(), sample_shape, noises: 1, noise: Noise::Normal }
    }

    /// The same with the noise that a process takes.
    pub fn under(self, process: &dyn ForwardProcess) -> Self {
        let noise = process.jump().map_or(Noise::Normal, |jump| Noise::Uniform(Arc::clone(jump)));
        Draws { noise_shape: process.state_shape(&self.sample_shape), noise, ..self }
    }

    /// Elements of one sample.
    pub fn width(&self) -> usize {
        elements(&self.sample_shape)
    }

    /// The pairs asked for. They do not depend on how they are cut into batches.
    ///
    /// # Errors
    /// A sample cannot be read from disk.
    pub fn rows(&self, draws: &[Draw]) -> Result<Rows> {
        let (width, wide) = (self.width(), elements(&self.noise_shape));
        let (mut x0, mut noise) = (vec![0.0f32; draws.len() * width], vec![0.0f32; draws.len() * wide]);
        let rows = x0.par_chunks_mut(width).zip(noise.par_chunks_mut(wide)).zip(draws);
        let drawn = rows.map(|((x0, noise), draw)| {
            let clean = draw.sample / self.noises;
            let row = self.source.draw(&mut stream(self.seed, Purpose::CleanSample, draw.t, clean), x0)?;
            let mut stream = stream(self.seed, Purpose::Noise, draw.t, draw.sample);
            Ok(match &self.noise {
                Noise::Normal => {
                    fill_normal(&mut stream, noise);
                    (covariates(x0, noise), row)
                }
                Noise::Uniform(jump) => {
                    fill_uniform(&mut stream, noise);
                    (jump.covariates(noise, draw.t), row)
                }
            })
        });
        let drawn: Vec<(Covariates, Option<usize>)> = drawn.collect::<Result<_>>()?;
        let (covariates, origins): (Vec<Covariates>, Vec<Option<usize>>) = drawn.into_iter().unzip();
        let labels = self.source.labels();
        let labels = labels.and_then(|labels| origins.iter().map(|row| labels.get((*row)?).copied()).collect());
        let rows = origins.into_iter().collect();
        let latents = Latents { seed: self.seed, draws: draws.iter().map(|draw| (draw.t, draw.sample)).collect() };
        Ok(Rows { x0, noise, covariates, columns: Columns { labels, rows, latents: Some(latents) } })
    }

    /// What the covariates of pairs are on average, where that is known.
    pub fn expected(&self) -> Option<Covariates> {
        match self.noise {
            Noise::Normal => self.source.moments().map(|[mean, square]| [mean, square, 0.0]),
            // They are centred, whatever the data.
            Noise::Uniform(_) => Some([0.0; 3]),
        }
    }

    /// The states of a model for these pairs, with one timestep per row.
    pub fn state(&self, rows: &Rows, response: &dyn Response, t: &[Timestep]) -> Result<State> {
        self.to_device(rows, response.device(), response.kind())?.state(rows, response, t)
    }

    /// The same on a device.
    pub fn to_device(&self, rows: &Rows, device: Device, kind: Kind) -> Result<Pairs> {
        let count = (rows.x0.len() / self.width()) as i64;
        let stacked = |shape: &[i64]| std::iter::once(count).chain(shape.iter().copied()).collect::<Vec<i64>>();
        let x0 = upload(&rows.x0, &stacked(&self.sample_shape), device, kind)?;
        Ok(Pairs { x0, noise: upload(&rows.noise, &stacked(&self.noise_shape), device, kind)? })
    }
}

/// How many there are in a sample or its noise.
fn elements(shape: &[i64]) -> usize {
    shape.iter().product::<i64>().max(1) as usize
}

impl Pairs {
    /// x_t of a process, with one timestep per row.
    pub fn x_t(&self, process: &dyn ForwardProcess, t: &[Timestep]) -> Result<Tensor> {
        process.state(&self.x0, &self.noise, t)
    }

    /// x_t and what it is conditional on; `rows` are those that these pairs are.
    pub fn state(&self, rows: &Rows, response: &dyn Response, t: &[Timestep]) -> Result<State> {
        let condition = response.condition(t.len() as i64, &rows.columns)?;
        Ok(State { x: self.x_t(response.process(), t)?, condition })
    }
}
